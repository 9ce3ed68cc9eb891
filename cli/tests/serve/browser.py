"""The control room in headless Chromium, and Chromium as what a WHIP output sends to.

Arguments: the address, that of one with a token, the token, the port to which that one sends by WHIP, and a folder for screenshots.
"""

import http.server
import queue
import sys
import threading

from playwright.sync_api import expect, sync_playwright

ADDRESS, GUARDED, TOKEN, PORT, FOLDER = sys.argv[1:]
ARGUMENTS = [
    "--no-sandbox",
    # Without it addresses are names that only multicast DNS knows.
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--autoplay-policy=no-user-gesture-required",
]
FRAMES = "document.getElementById('after').getVideoPlaybackQuality().totalVideoFrames"
# Mean of the differences between the halves of the preview around the mouth, as they came and as they go out.
DIFFERENCE = """() => {
  const video = document.getElementById('after'), canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const pen = canvas.getContext('2d');
  pen.drawImage(video, 0, 0);
  const half = canvas.width / 2;
  const face = document.querySelector('#faces .drawn')?.style ?? {left: '0%', top: '0%', width: '100%', height: '100%'};
  const share = text => parseFloat(text) / 100;
  const box = [share(face.left) * half, (share(face.top) + share(face.height) / 2) * canvas.height, share(face.width) * half,
    share(face.height) / 2 * canvas.height].map(Math.round);
  const [before, after] = [0, half].map(x => pen.getImageData(box[0] + x, ...box.slice(1)).data);
  return before.reduce((sum, value, index) => Math.max(sum, Math.abs(value - after[index])), 0);
}"""


def wait(page, what, patience=30):
    page.wait_for_function(what, timeout=patience * 1000)


def frames_advance(page, count=25):
    wait(page, f"{FRAMES} > {page.evaluate(FRAMES) + count}")


def most(page, count=12):
    """The greatest difference that some frames show."""
    differences = []
    for _ in range(count):
        differences.append(page.evaluate(DIFFERENCE))
        page.wait_for_timeout(100)
    return max(differences)


def visit(browser, address, width=1440, height=900):
    # The page's own policy lets nobody evaluate text, tests neither.
    context = browser.new_context(viewport={"width": width, "height": height}, bypass_csp=True)
    page = context.new_page()
    page.on("pageerror", lambda error: sys.exit(f"the page fails: {error}"))
    page.goto(address)
    return page


def controls(browser):
    page = visit(browser, ADDRESS)
    frames_advance(page)
    expect(page.locator("#health")).to_have_text("on air", timeout=30_000)
    expect(page.locator("#faces .drawn")).to_have_count(1)
    shown = most(page)
    page.keyboard.press("Space")
    expect(page.locator("#health")).to_have_text("on air, cut out")
    expect(page.locator("#bypass")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(1500)
    cut_out = most(page)
    print(f"greatest difference: {shown} with new mouths, {cut_out} cut out")
    assert shown > 1.5 * cut_out, (shown, cut_out)
    page.keyboard.press("Space")
    expect(page.locator("#health")).to_have_text("on air")
    page.locator("#strength").fill("0.5")
    expect(page.locator("#strength-text")).to_have_text("0.50")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#strength-text")).to_have_text("0.55")
    page.locator("#faces .drawn").click()
    expect(page.locator("#largest")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("0")
    expect(page.locator("#largest")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("b")
    wait(page, "document.getElementById('log').textContent.includes('plays')")
    page.screenshot(path=f"{FOLDER}/desktop.png", full_page=True)
    phone = visit(browser, ADDRESS, 390, 844)
    frames_advance(phone, 5)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    phone.screenshot(path=f"{FOLDER}/phone.png", full_page=True)
    phone.context.close()
    return page


def token(browser):
    page = visit(browser, f"{GUARDED}#token=this-is-the-wrong-one")
    expect(page.locator("#door-text")).to_have_text("This token is wrong.")
    page.locator("#token").fill(TOKEN)
    page.keyboard.press("Enter")
    frames_advance(page)
    page.context.close()


# A peer that takes what is offered and shows it.
ANSWER = """async offer => {
  const peer = new RTCPeerConnection(), stream = new MediaStream();
  document.body.innerHTML = '<video id="after" autoplay muted></video>';
  peer.ontrack = event => { stream.addTrack(event.track); document.getElementById('after').srcObject = stream; };
  await peer.setRemoteDescription({type: 'offer', sdp: offer});
  await peer.setLocalDescription();
  while (peer.iceGatheringState !== 'complete') await new Promise(done => setTimeout(done, 20));
  window.peer = peer;
  return peer.localDescription.sdp;
}"""


class Whip(http.server.BaseHTTPRequestHandler):
    """A WHIP server as far as HTTP goes; somebody else answers offers."""

    offers, answers, deleted = queue.Queue(), queue.Queue(), threading.Event()

    def do_POST(self):
        offer = self.rfile.read(int(self.headers["Content-Length"])).decode()
        is_admitted = self.headers["Authorization"] == f"Bearer {TOKEN}"
        if self.path == "/moved":
            return self.reply(307, {"Location": "/whip"}, "")
        if not is_admitted or self.headers["Content-Type"] != "application/sdp":
            return self.reply(401, {}, "no")
        self.offers.put(offer)
        self.reply(201, {"Location": "resource/1", "Content-Type": "application/sdp"}, self.answers.get(timeout=30))

    def do_DELETE(self):
        if self.path == "/resource/1":
            self.deleted.set()
        self.reply(200, {}, "")

    def reply(self, status, headers, body):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body.encode()))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


def whip(browser):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(PORT)), Whip)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_context(bypass_csp=True).new_page()
    Whip.answers.put(page.evaluate(ANSWER, Whip.offers.get(timeout=30)))
    frames_advance(page)
    kinds = "async () => [...(await peer.getStats()).values()].filter(s => s.type === 'inbound-rtp' && s.packetsReceived).map(s => s.kind)"
    assert sorted(page.evaluate(kinds)) == ["audio", "video"], page.evaluate(kinds)
    print("end", flush=True)
    assert Whip.deleted.wait(20), "the session is not deleted"


def outage(page):
    """Says when the input is to die and to come back, to whoever runs this."""
    print("kill", flush=True)
    expect(page.locator("#peers li").first).to_have_attribute("data-state", "lost", timeout=30_000)
    expect(page.locator("#banner")).to_be_visible()
    frames_advance(page, 10)
    page.screenshot(path=f"{FOLDER}/lost.png", full_page=True)
    print("revive", flush=True)
    expect(page.locator("#peers li").first).to_have_attribute("data-state", "playing", timeout=30_000)
    expect(page.locator("#banner")).to_be_hidden()
    frames_advance(page)


with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
    page = controls(browser)
    outage(page)
    token(browser)
    whip(browser)
    browser.close()
