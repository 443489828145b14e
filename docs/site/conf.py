"""How Sphinx makes the site. Nothing on a page is loaded from elsewhere, formulas included."""

from docutils.utils.math.latex2mathml import tex2mathml

from docs.site import terms

project = author = "HVAE workbook"
html_title = "HVAE workbook"
language = "en"
extensions = ["myst_nb", "sphinx.ext.githubpages"]

html_theme = "furo"
html_static_path = ["static"]
html_favicon = "static/icon.svg"
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_math_renderer = "mathml"
html_show_copyright = False
html_copy_source = False

myst_enable_extensions = ["attrs_inline", "dollarmath", "html_image"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_merge_streams = True
nb_output_stderr = "warn"  # and every warning stops the build
nb_render_markdown_format = "myst"
nb_ipywidgets_js = {}  # widgets would be loaded from another machine


def inline_formula(writer, node):
    """Write a formula in a sentence as MathML, which browsers draw without a script."""
    formula(writer, node, block=False)


def block_formula(writer, node):
    """Write a formula in a line of its own as MathML."""
    formula(writer, node, block=True)


def formula(writer, node, block):
    """Write a formula; its node is done with."""
    from docutils import nodes

    writer.body.append(tex2mathml(node.astext(), as_block=block))
    raise nodes.SkipNode


def setup(app):
    """Tell Sphinx of the formulas and of the links to the glossary."""
    app.add_html_math_renderer("mathml", (inline_formula, None), (block_formula, None))
    terms.setup(app)
    return {"parallel_read_safe": True}
