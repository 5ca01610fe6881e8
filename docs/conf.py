"""How the documentation is built: ``python -m sphinx -W -b html docs docs/_build``."""

import shutil
from pathlib import Path

import kmeans_fast

HERE = Path(__file__).parent

project = "kmeans_fast"
author = copyright = "the kmeans_fast authors"
release = version = kmeans_fast.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build"]
nitpicky = True  # a name that leads nowhere is a warning, and so an error
nitpick_ignore = {  # attributes that have the name of a module, and what others document
    ("py:obj", name)
    for name in ("colors", "info", "pictures", "math.fsum", "sklearn.cluster.KMeans")
}

html_theme = "furo"
html_title = "kmeans_fast"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#b3261e", "color-brand-content": "#b3261e"},
    "dark_css_variables": {"color-brand-primary": "#ff8a80", "color-brand-content": "#ff8a80"},
}
copybutton_exclude = ".linenos, .gp, .go"  # the prompt and what is printed

myst_enable_extensions = ["attrs_block", "colon_fence", "deflist"]
myst_heading_anchors = 3
# Each page's code runs when it is built, and the build fails where the code does. The notebook is
# kept with its outputs, and a test runs it.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_execution_excludepatterns = ["basic_kmeans*"]
nb_merge_streams = True
nb_code_prompt_show = nb_code_prompt_hide = "Code"

autosummary_generate = True
default_role = "autolink"  # `fit` leads to its page
autodoc_typehints = "none"  # numpydoc's words are for people
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
templates_path = ["_templates"]


def copy_notebook(_):
    """Take the notebook from the examples, where people run it."""
    shutil.copyfile(HERE.parent / "examples" / "basic_kmeans.ipynb", HERE / "basic_kmeans.ipynb")


def setup(app):
    """Do what is to be done before pages are read."""
    app.connect("builder-inited", copy_notebook)
