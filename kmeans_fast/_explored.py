"""The figure of `explore`, which shows itself in a notebook, and in what is made of that."""

from __future__ import annotations

import base64
import html
import io
from typing import Any

import plotly.graph_objects as go

from .page import is_explored, make_page
from .still import draw_still

# The still is seen where a host lets no frame in, as GitHub and a notebook that is not trusted yet;
# elsewhere the frame covers it, and says how high it is.
EMBEDDED = (
    '<div style="position: relative; overflow: hidden; max-width: 1000px">'
    '<img src="data:image/png;base64,{png}" alt="{about}" style="display: block; width: 100%">'
    '<iframe title="{about}" srcdoc="{page}" style="position: absolute; top: 0; left: 0; '
    'width: 100%; height: 100%; border: 0; border-radius: 10px"></iframe></div>'
)


class ExploredFigure(go.Figure):  # type: ignore[misc]  # Plotly has few types
    """A figure of Plotly that a notebook shows as the page of `explore`, or as a still of it."""

    _ipython_display_ = None  # Plotly's, which needs its scripts: the bundle takes its place

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None, **options: Any
    ) -> dict[str, Any]:
        if not is_explored(self):
            bundle: dict[str, Any] = super()._repr_mimebundle_(include, exclude, **options)
            return bundle
        file = io.BytesIO()
        draw_still(self).save(file, "PNG", optimize=True)
        png = base64.b64encode(file.getvalue()).decode()
        about = f"A picture beside its colours: {self.layout.meta['about']}"
        page = make_page(self, embedded=True)
        parts = {"png": png, "about": html.escape(about), "page": html.escape(page)}
        return {
            "text/html": EMBEDDED.format(**parts),
            "image/png": png,
            "text/plain": f"{about}; .show() opens it",
        }
