"""Headless Chromium, and what is asked of a page in it: what of WCAG 2.2 a machine can see."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

SIZES = {"phone": (360, 740), "desk": (1280, 800)}
SCHEMES = ("light", "dark")

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

FAINT = r"""
() => {
  const channels = colour => colour.match(/[\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const [R, G, B] = [r, g, b].map(c => c / 255).map(
      c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * R + 0.7152 * G + 0.0722 * B;
  };
  const contrast = (one, two) => {
    const [low, high] = [one, two].map(luminance).sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const ground = element => {
    const box = element.closest("svg g")?.querySelector("rect");
    if (box) return channels(getComputedStyle(box).fill);
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  let looked = 0;
  const look = (element, text, style, least) => {
    const ink = element.closest("svg") ? style.fill : style.color;
    const value = contrast(channels(ink), ground(element));
    looked += 1;
    if (value < least) found.push(`${text.trim().slice(0, 40)}: ${value.toFixed(2)}`);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent, element = walker.currentNode.parentElement;
    if (!text.trim() || element.closest(".unseen, style, title")) continue;
    if (!element.checkVisibility()) continue;
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    look(element, text, style, large ? 3 : 4.5);
  }
  for (const cell of document.querySelectorAll("td")) {
    const style = getComputedStyle(cell, "::before");
    if (cell.checkVisibility() && style.content !== "none") look(cell, style.content, style, 4.5);
  }
  for (const line of document.querySelectorAll("svg > path")) {
    const value = contrast(channels(getComputedStyle(line).stroke), ground(line));
    if (value < 3) found.push(`an arrow: ${value.toFixed(2)}`);
  }
  return {looked, found};
}
"""
"""Texts that stand out too little from what is behind them (1.4.3), and arrows (1.4.11)."""

UNNAMED = r"""
() => {
  const found = [], all = query => [...document.querySelectorAll(query)];
  const need = (holds, what) => holds || found.push(what);
  need(document.documentElement.lang === "en", "the language");
  need(document.title.trim(), "the title");
  need(all("main").length === 1 && !all("body > :not(main)").length, "one landmark around all");
  const levels = all("h1, h2, h3, h4").map(heading => Number(heading.tagName[1]));
  need(levels[0] === 1 && levels.filter(level => level === 1).length === 1, "one first heading");
  need(levels.every((level, at) => !at || level <= levels[at - 1] + 1), "levels without a gap");
  const named = element => element.getAttribute("aria-label")
    || document.getElementById(element.getAttribute("aria-labelledby"))?.textContent;
  all("[role=region], [role=img]").forEach(e => need(named(e), `a name: ${e.className}`));
  all("th").forEach(e => need(e.scope && e.textContent.trim(), "a header's scope and text"));
  all("table").forEach(e => need(e.closest("[role=region]"), "a region around a table"));
  all("summary").forEach(e => need(e.textContent.trim(), "a name of what opens"));
  const ids = all("[id]").map(e => e.id), summaries = all("summary").map(e => e.textContent);
  need(new Set(ids).size === ids.length, "each id once");
  need(new Set(summaries).size === summaries.length, `each control's own name: ${summaries}`);
  all("svg[role=img]").forEach(drawing => {
    const words = document.getElementById(drawing.getAttribute("aria-details"))?.textContent ?? "";
    const boxes = [...drawing.querySelectorAll("g > title")].map(title => title.textContent);
    need(boxes.length, "boxes");
    boxes.forEach(box => need(words.includes(box), `words for the box ${box}`));
  });
  return found;
}
"""
"""What somebody who listens to the page would miss (1.1.1, 1.3.1, 2.4.2, 2.4.6, 3.1.1, 4.1.2)."""

FOCUSED = r"""
() => {
  const element = document.activeElement, style = getComputedStyle(element);
  const all = [...document.querySelectorAll("summary, [tabindex], a, button, input")];
  return {
    place: all.indexOf(element),
    summary: element.tagName === "SUMMARY",
    open: element.parentElement?.open ?? null,
    outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
    all: all.length,
  };
}
"""
"""Where the keyboard is (2.1.1, 2.4.3) and whether one can see it (2.4.7)."""


@contextmanager
def browser() -> Iterator[Browser]:
    """One for all tests of a file; it reaches nothing but the files that it is given."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None and not os.environ.get("CI"):
        pytest.skip("needs Chromium: apt-get install chromium")
    assert path, "CI must install Chromium: see .ci/run"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path)
        yield opened
        opened.close()


class Shown:
    """A page, what it asked for and what it complained about."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page, self.folder = page, folder
        self.asked: list[str] = []
        self.said: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: self.said.append(dialog.message))

    def show(self, name: str, text: str, size: str = "desk", scheme: Any = "light") -> Page:
        width, height = SIZES[size]
        path = self.folder / f"{name}.html"
        path.write_text(text)
        self.asked.clear()
        self.said.clear()
        self.page.emulate_media(color_scheme=scheme)
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.goto(path.as_uri())
        return self.page

    def unfold(self) -> None:
        self.page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def shown(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    context = chromium.new_context(offline=True)
    return Shown(context.new_page(), tmp_path_factory.mktemp("pages"))
