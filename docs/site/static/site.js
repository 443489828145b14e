addEventListener("load", () => {
  // What is wider than the page scrolls in a box of its own; the keyboard has to reach that box.
  for (const box of document.querySelectorAll("pre, .table-wrapper, .math-wrapper, .output")) {
    if (box.scrollWidth > box.clientWidth) {
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", "scrolls sideways");
    }
  }
  // Captions of the contents are headings for a screen reader, which asks for their level.
  for (const caption of document.querySelectorAll("p.caption[role=heading]")) {
    caption.setAttribute("aria-level", "2");
  }
});
