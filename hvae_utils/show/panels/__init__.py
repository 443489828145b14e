"""Panels to use by hand in JupyterLab: each is a widget, and shows pictures of its state.

`sliders` has those that need no model, `asking` those that ask one, `svg` the pictures they share.
"""

from hvae_utils.show.panels import asking as asking
from hvae_utils.show.panels import sliders as sliders
from hvae_utils.show.panels import svg as svg
