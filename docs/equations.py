"""Equations of the site, in TeX, become MathML when it is built: ``$…$`` in a line, and fenced blocks of the language
``math``. So a browser shows them without a script and without a network connection. GitHub shows the same notation."""

import re
from typing import Any

from latex2mathml.converter import convert
from markdown import Extension, Markdown
from markdown.inlinepatterns import InlineProcessor
from mkdocs.config.defaults import MkDocsConfig


class Inline(InlineProcessor):
    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:  # type: ignore[override]  # noqa: N802
        return self.md.htmlStash.store(convert(m[1])), m.start(), m.end()


class Equations(Extension):
    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        md.inlinePatterns.register(Inline(r"(?<!\$)\$([^$\s](?:[^$\n]*[^$\s])?)\$(?![\w$])", md), "equation", 185)


def block(source: str, *_: Any, **__: Any) -> str:
    return f'<p class="equation">{convert(source, display="block")}</p>'


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Called by MkDocs, which finds it by  hooks  in mkdocs.yml."""
    config.markdown_extensions.append(Equations())  # type: ignore[arg-type]
    config.mdx_configs["pymdownx.superfences"] = {
        "custom_fences": [{"name": "math", "class": "equation", "format": block}]
    }
    return config
