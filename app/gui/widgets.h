// Parts that several panels are made of.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/gui/ui.h"

namespace switchyard::gui {

/// Of the item before: one sentence, after a moment.
void tip(const char* text);

/// Buttons in a row of which one is chosen, as wide as their texts; too many go on in the next line. True: changed.
bool choice(Ui& ui, const char* label, int& chosen, std::initializer_list<const char*> names,
            std::initializer_list<const char*> tips = {});

/// A combo box without a label beside it, which the tip explains.
bool combo(const char* label, int& chosen, std::initializer_list<const char*> names, float width,
           const char* help);

/// Text in the middle of what is left of the panel, in quiet colours: why there is nothing to see, and what to do.
void nothing_here(Ui& ui, const std::string& text);

/// True, and said in the panel, where there is no routing to look at.
bool no_routing(Ui& ui);

// Controls of the selection. `width`: of the whole row; 0: what is left.
void layer_slider(Ui& ui, float width = 0);
void step_slider(Ui& ui, float width = 0);
void go_to_step(Ui& ui, int64_t step);
void half_combo(Ui& ui, float width);
void measure_combo(Ui& ui, float width);
void normalisation_combo(Ui& ui, float width);
void router_choice(Ui& ui);  // nothing, where the model has one kind of router
const char* name_of(pipeline::Measure measure);

/// The colour map with the numbers at its ends and in its middle.
void legend(Ui& ui, const MatrixView& view, const char* what);

/// The colours of experts by number; the click chooses one. In as many lines as it takes.
void expert_legend(Ui& ui, int64_t experts);
ImU32 expert_color(int64_t expert, int64_t experts);

struct Cell {
  int64_t row = 0, column = 0;
  bool clicked = false;
};

struct MatrixLook {
  const char *rows = "", *columns = "";                      // titles
  std::optional<int64_t> row = {}, column = {};              // marked: now
  bool experts_in_rows = false, experts_in_columns = false;  // in their colours
  std::vector<std::pair<const char*, at::Tensor>> beside =
      {};  // [R]: numbers of each row, right of it, with titles
};

/// A matrix as coloured cells, with numbers along its sides. -> the cell under the mouse.
std::optional<Cell> matrix(Ui& ui, const char* label, const MatrixView& view, uint64_t version, ImVec2 size,
                           const MatrixLook& look);

/// A small button that offers the view as CSV, as PNG, and the whole routing as NPZ.
void export_button(Ui& ui, const char* label, const char* file, const MatrixView& view, const char* row,
                   const char* column);

std::string number(double value);  // three digits, "none" for NaN
std::string seconds_text(double seconds);

}  // namespace switchyard::gui
