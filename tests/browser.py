"""Pages in a real browser."""

import re
import shutil
import subprocess
from html import escape
from pathlib import Path


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps"]
QUIET += ["--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND"]
# Opens all that is folded in a page, and has the title say how wide the page and its window are, how many pictures it
# has, and how many of them show a value under the mouse. A window of the browser itself has a least width, a frame has
# none.
FRAME = """<!DOCTYPE html><iframe style="width: {width}px; height: 900px; border: 0" srcdoc="{page}"></iframe><script>
onload = () => {{
  const page = document.querySelector("iframe").contentDocument;
  page.querySelectorAll("details").forEach(details => details.open = true);
  const images = [...page.images].filter(image => image.naturalWidth > 0);
  const hovered = [...page.querySelectorAll("svg")].filter(svg => {{
    const value = svg.querySelector("rect");
    value.scrollIntoView();
    const {{left, top, width, height}} = value.getBoundingClientRect();
    const [all, image] = [svg, svg.parentElement.querySelector("img")].map(part => part.getBoundingClientRect());
    const covers = ["left", "top", "right", "bottom"].every(side => Math.abs(all[side] - image[side]) < 1);
    return covers && page.elementFromPoint(left + width / 2, top + height / 2)?.closest("svg") === svg;
  }});
  document.title = `${{page.documentElement.scrollWidth}} in ${{page.defaultView.innerWidth}}, ` +
    `${{images.length}} pictures, ${{hovered.length}} with values`;
}};
</script>"""


def assert_fits(page: Path, folder: Path, width: int, scheme: str) -> None:
    """A page fits a window of this width, shows its pictures with their values, and has no errors or requests."""
    frame, text = folder / "frame.html", page.read_text(encoding="utf-8")
    frame.write_text(FRAME.format(width=width, page=escape(text)), encoding="utf-8")
    command = [str(CHROMIUM), *QUIET, f"--user-data-dir={folder / 'profile'}", "--window-size=1300,1000"]
    command += [f"--blink-settings=preferredColorScheme={int(scheme == 'light')}", "--dump-dom", frame.as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    title = re.search(r"<title>(.*?)</title>", result.stdout)[1]
    num_pictures = text.count("<img")
    assert title == f"{width} in {width}, {num_pictures} pictures, {num_pictures} with values"
    # What is loaded from anywhere, or run, is an error: the page's own policy forbids it.
    assert "Content-Security-Policy" in text and "CONSOLE" not in result.stderr
