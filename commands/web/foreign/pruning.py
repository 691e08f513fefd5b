"""What of a page isn't its text: programs, what is hidden, ways around the site, banners."""

import re

from lxml.etree import _Element

# Not the head: where none is written, the parser puts the first elements of HTML 5 there.
_NEVER = frozenset(
    """script style noscript template svg canvas iframe object embed applet audio video source
    button select input textarea datalist dialog map area link meta title""".split()  # noqa: SIM905
)
_AROUND = frozenset(("nav", "header", "footer", "aside", "menu"))
_KEPT = frozenset(("html", "body", "main", "article", "h1", "h2", "h3", "h4", "h5", "h6"))
_ROLES = frozenset(
    ("navigation", "banner", "contentinfo", "search", "dialog", "alertdialog", "complementary")
)
_NAMES = frozenset(
    """nav navbar navigation topnav sidenav subnav main-nav site-nav nav-bar menu main-menu
    sidebar side-bar footer site-footer page-footer header-nav site-header masthead
    breadcrumb breadcrumbs toc-nav skip-link skiplink skip-to-content
    cookie cookies cookie-banner cookie-consent cookie-notice cookiebar consent gdpr-banner
    share sharing social social-share share-buttons share-bar social-links sharedaddy addtoany
    newsletter newsletter-signup subscribe signup-form popup modal overlay
    ad ads advert advertisement adsbygoogle banner-ad sponsored promo promoted
    related related-posts related-articles recommended most-read
    headerlink permalink anchor-link heading-anchor mw-editsection printfooter catlinks
    linenos lineno line-numbers gutter lineno-col""".split()  # noqa: SIM905
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_LEAST = 200  # characters of a page whose rest may have been dropped by mistake
_MAIN_SHARE = 0.4


def pruned(root: _Element) -> _Element:
    """The element that holds the page's text, after the rest was taken out of the tree."""
    for element in list(root.iter("*")):
        if _is_never_text(element):
            _remove(element)
    doomed = [element for element in root.iter("*") if _is_around(element)]
    whole = _size(root)
    # A page of links alone, or one that names its parts unusually: better all of it than none.
    if whole - sum(map(_size, _outermost(doomed))) >= min(_LEAST, whole / 4):
        for element in doomed:
            _remove(element)
    return _main(root)


def _is_never_text(element: _Element) -> bool:
    return (
        element.tag in _NEVER
        or element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
        or bool(_HIDDEN.search(element.get("style") or ""))
    )


def _is_around(element: _Element) -> bool:
    tag, role = element.tag, element.get("role")
    if tag in _KEPT or role == "main":
        return False
    named = _NAMES.intersection((element.get("class") or "").lower().split())
    if not named and role not in _ROLES and tag not in _AROUND:
        # An id may be a heading's: a chapter on cookies isn't a banner.
        return (element.get("id") or "").lower() in _NAMES and not _is_inside(element)
    if not named and tag in ("footer", "aside", "header") and _is_inside(element):
        return False
    # What holds the page's heading holds the page.
    headings = ("h1", "h2", "h3") if tag == "header" else ("h1",)
    return next(element.iter("main", *headings), None) is None


def _is_inside(element: _Element) -> bool:
    above = element.iterancestors("main", "article", "blockquote", "div", "section")
    return any(e.tag not in ("div", "section") or e.get("role") == "main" for e in above)


def _outermost(elements: list[_Element]) -> list[_Element]:
    every = set(elements)
    return [e for e in elements if not any(above in every for above in e.iterancestors())]


def _main(root: _Element) -> _Element:
    """The one element that says it is the page's text, if it holds a good part of it."""
    found = [e for e in root.iter("*") if e.tag == "main" or e.get("role") == "main"]
    if len(_outermost(found)) == 1 and _size(found[0]) >= _MAIN_SHARE * _size(root):
        return found[0]
    return root


def _size(element: _Element) -> int:
    return sum(len(text.strip()) for text in element.itertext())


def _remove(element: _Element) -> None:
    above = element.getparent()
    if above is None:
        return
    before = element.getprevious()
    if element.tail:  # what stands behind it isn't its own
        if before is None:
            above.text = (above.text or "") + element.tail
        else:
            before.tail = (before.tail or "") + element.tail
    above.remove(element)
