#include "app/gui/studio/edits.h"

#include <gtest/gtest.h>

namespace switchyard::studio {
namespace {

using pipeline::Router;
using pipeline::RoutingEdit;

TEST(Edits, RecipeHoldsThoseThatAreOn) {
  Edits edits{{{.edit = mute(Router::tokens, 1, 2)},
               {.edit = force(Router::tokens, 0, 3), .on = false},
               {.edit = scale(Router::timesteps, -1, 0, 0.5)}}};
  EXPECT_EQ(edits.recipe(),
            (pipeline::RoutingRecipe{mute(Router::tokens, 1, 2), scale(Router::timesteps, -1, 0, 0.5)}));
  EXPECT_EQ(Edits::of(edits.recipe()).recipe(), edits.recipe());
}

TEST(Edits, SentencesSayAllOfAnEdit) {
  EXPECT_EQ(sentence_of(mute(Router::tokens, 4, 3)), "mute expert 3 in layer 4");
  EXPECT_EQ(sentence_of(force(Router::timesteps, -1, 0)), "force timestep expert 0 in all layers");
  RoutingEdit edit = scale(Router::tokens, 4, 1, 0.5);
  edit.experts = {1, 2};
  edit.layers = {4, 5};
  edit.t_low = 0.25;
  edit.half = RoutingEdit::Half::unconditional;
  edit.region = {true, false, true};
  edit.images = {0};
  EXPECT_EQ(
      sentence_of(edit),
      "scale experts 1, 2 by 0.5 in layers 4, 5, t 0.25 to 1, without the class, in 2 patches, of image 0");
}

}  // namespace
}  // namespace switchyard::studio
