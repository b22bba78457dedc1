"""The page of a report in a real browser."""

import json
import re
import shutil
import subprocess
from html import escape
from pathlib import Path

import pytest
from report_pages import HARDEST, predictions, scored, summary

from hf_mmel.report.page import write_page


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps"]
QUIET += ["--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND"]
LONG = "unbreakable" * 30
# Opens all that is folded in a page, and has the title say how wide the page and its window are. A window of the
# browser itself has a least width, a frame has none.
FRAME = """<!DOCTYPE html><iframe style="width: {width}px; height: 900px; border: 0" srcdoc="{page}"></iframe><script>
onload = () => {{
  const page = document.querySelector("iframe").contentDocument;
  page.querySelectorAll("details").forEach(details => details.open = true);
  const images = [...page.images].filter(image => image.naturalWidth > 0).length;
  document.title = `${{page.documentElement.scrollWidth}} in ${{page.defaultView.innerWidth}}, ${{images}} pictures`;
}};
</script>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    """A page with all sections, and with text that cannot be broken at spaces."""
    rows = [*HARDEST, {**HARDEST[0], "original": LONG, "variant": LONG + "x", "label": LONG}]
    known = summary(name=LONG, hardest=rows, arguments={LONG: LONG}, command=LONG, augmenter={"class": LONG})
    variants = scored(LONG, LONG + "y", ("bad", LONG))
    folder = tmp_path_factory.mktemp("report")
    (folder / "attack").mkdir()
    success = {"success": True, "text": LONG + "y", "prediction": LONG, "words_changed": 1.0}
    row = {"text": LONG, "label": LONG, "prediction": LONG, "greedy": success}
    attack = {"num_examples": 1, "attacks": ["greedy"], "data": LONG, "budget": 9, "weights": {}}
    (folder / "attack" / "attack.json").write_text(json.dumps({**attack, "augmenter": {"class": LONG}}))
    (folder / "attack" / "attack.jsonl").write_text(json.dumps(row))
    return write_page(folder, known, predictions(("bad", LONG)), variants, [LONG], 0.5)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_a_page_fits_its_window_without_errors_and_requests(page, tmp_path, width, scheme):
    frame, text = tmp_path / "frame.html", page.read_text(encoding="utf-8")
    frame.write_text(FRAME.format(width=width, page=escape(text)), encoding="utf-8")
    command = [CHROMIUM, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1300,1000"]
    command += [f"--blink-settings=preferredColorScheme={int(scheme == 'light')}", "--dump-dom", frame.as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    title = re.search(r"<title>(.*?)</title>", result.stdout)[1]
    assert title == f"{width} in {width}, {text.count('<img')} pictures"
    # What is loaded from anywhere, or run, is an error: the page's own policy forbids it.
    assert "Content-Security-Policy" in text and "CONSOLE" not in result.stderr
