"""Opens a page in a real browser."""

import json
import re
import shutil
import subprocess
from html import unescape

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


def visit(page, script, *options):
    """Open a page, run a script in it: what its function returned, and the browser's messages."""
    reply = f"""<script>
    (async () => {{ {script} }})().then(
      (answer) => {{ document.title = "ANSWER" + JSON.stringify(answer); }},
      (error) => console.error(error),
    );
    </script></body>"""
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", reply), encoding="utf-8")
    command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--virtual-time-budget=5000", "--enable-logging=stderr", *options]
    command += [f"--user-data-dir={page.parent / 'browser'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    messages = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    answer = re.search(r"<title>ANSWER(.*?)</title>", done.stdout)
    assert answer, f"no answer from {command}: {messages} {done.stderr[-2000:]}"
    return json.loads(unescape(answer.group(1))), messages
