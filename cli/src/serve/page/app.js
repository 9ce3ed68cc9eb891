"use strict";
// The control room: what the WebSocket says is shown, what the operator does is sent there. The preview is WHEP.

const at = id => document.getElementById(id);
const POINTS = 240;            // Of the charts: two minutes of two a second.
const RETRY = 2000;
const charts = { time: [], late: [] };
let socket, peer, resource, settings = {}, models, lastLate, lastFrames, lastShown = 0;

// Behind the # it is not sent to anybody.
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) { sessionStorage.token = given; history.replaceState(null, "", location.pathname); }
const token = () => sessionStorage.token;
const headers = more => ({ ...(token() ? { Authorization: "Bearer " + token() } : {}), ...more });

async function ask(method, path, kind, body) {
  const answer = await fetch(path, { method, headers: headers(kind ? { "Content-Type": kind } : {}), body });
  if (answer.status === 401) { knock(token() ? "This token is wrong." : ""); throw new Error("a token is expected"); }
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer;
}

function knock(why) {
  at("door-text").textContent = why;
  if (!at("door").open) at("door").showModal();
}
at("door").addEventListener("close", () => { sessionStorage.token = at("token").value; begin(); });
at("door").addEventListener("cancel", event => event.preventDefault());

// Begins with a request: a WebSocket does not say why it was refused.
async function begin() {
  try {
    const answer = await ask("GET", "api/status");
    const status = await answer.json();
    showStatus(status);
    showMeters(status.meters);
    listen();
    watch();
  } catch (error) {
    health("bad", error.message);
    if (!at("door").open) setTimeout(begin, RETRY);
  }
}

function listen() {
  const address = new URL("api/events", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  socket = new WebSocket(address, ["lipsync", ...(token() ? ["token." + token()] : [])]);
  socket.onopen = () => at("log").replaceChildren();
  socket.onmessage = event => {
    const said = JSON.parse(event.data);
    if (said.meters) showMeters(said.meters);
    if (said.type === "status") showStatus(said.status);
    if (said.type === "log") showEntry(said.entry);
    if (said.type === "settings") showSettings(said.settings);
    if (said.type === "error") showEntry({ time: Date.now(), level: "error", text: said.error });
  };
  socket.onclose = () => { health("bad", "no connection to the control room"); leave(); setTimeout(begin, RETRY); };
}

function change(wanted) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(wanted));
}

// The preview: left half as it came, right half as it goes out.
async function watch() {
  leave();
  const mine = peer = new RTCPeerConnection();
  for (const kind of ["video", "audio"]) mine.addTransceiver(kind, { direction: "recvonly" });
  const stream = new MediaStream();
  mine.ontrack = event => { stream.addTrack(event.track); at("before").srcObject = at("after").srcObject = stream; };
  mine.onconnectionstatechange = () => {
    if (mine === peer && ["failed", "disconnected"].includes(mine.connectionState)) setTimeout(() => mine === peer && watch(), RETRY);
  };
  await mine.setLocalDescription();
  await new Promise(done => {
    if (mine.iceGatheringState === "complete") done();
    mine.onicegatheringstatechange = () => mine.iceGatheringState === "complete" && done();
    setTimeout(done, 2000);
  });
  try {
    const answer = await ask("POST", "api/preview", "application/sdp", mine.localDescription.sdp);
    const place = answer.headers.get("Location");
    if (mine !== peer) return void ask("DELETE", place);
    resource = place;
    await mine.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  } catch (error) {
    showEntry({ time: Date.now(), level: "error", text: "no preview: " + error.message });
    if (mine === peer) setTimeout(() => mine === peer && watch(), 5 * RETRY);
  }
}

function leave() {
  peer?.close();
  peer = undefined;
  if (resource) fetch(resource, { method: "DELETE", headers: headers(), keepalive: true }).catch(() => {});
  resource = undefined;
}
addEventListener("pagehide", leave);

function health(state, text) { at("health").dataset.state = state; at("health").textContent = text; }

function item(name, text, more) {
  const made = Object.assign(document.createElement(name), { textContent: text }, more);
  return made;
}

function showStatus(status) {
  const { input, outputs, faults } = status;
  const peers = [["in", input], ...outputs.map(output => ["out", output])];
  at("peers").replaceChildren(...peers.map(([way, health]) => {
    const made = item("li", "");
    made.dataset.state = health.state;
    made.append(item("span", way), item("b", health.address), item("span", health.state));
    return made;
  }));
  health(faults.length ? "bad" : "good", faults.length ? "needs attention" : status.settings.bypass ? "on air, cut out" : "on air");
  at("banner").hidden = !faults.length;
  at("banner").textContent = faults.join(" · ");
  at("screen").style.aspectRatio = status.format.width + " / " + status.format.height;
  const list = status.models.join("\n");
  if (list !== models) {
    models = list;
    at("model").replaceChildren(...status.models.map(path => item("option", path.split("/").pop() || "built-in", { value: path })));
  }
  showSettings(status.settings);
  showStats(status);
}

function showSettings(now) {
  settings = now;
  const idle = id => document.activeElement !== at(id);
  const set = (id, value) => { if (idle(id)) at(id).value = value; };
  set("strength", now.strength);
  set("offset", now["sync-offset"] / 1e6);
  set("fade", now["fade-time"] / 1e6);
  set("model", now.model);
  set("silence", now.silence);
  at("debug").checked = now["draw-debug"];
  at("largest").setAttribute("aria-pressed", now["face-x"] < 0 || now["face-y"] < 0);
  at("strength-text").textContent = now.strength.toFixed(2);
  at("offset-text").textContent = (now["sync-offset"] / 1e6).toFixed(0) + " ms";
  at("fade-text").textContent = (now["fade-time"] / 1e6).toFixed(0) + " ms";
  at("bypass").setAttribute("aria-pressed", now.bypass);
  at("bypass-text").textContent = now.bypass ? "Cut in" : "Cut out";
}

function showStats(status) {
  const stats = status.stats;
  if (Date.now() - lastShown < 450) return;
  lastShown = Date.now();
  const late = ["frames-repeated", "frames-skipped", "frames-dropped"].reduce((sum, name) => sum + (stats[name] ?? 0), 0);
  const frames = stats["frames-out"] ?? 0;
  const isNew = lastFrames === undefined || frames < lastFrames;
  draw("time", (stats["total-p95"] ?? 0) / 1e3, value => value.toFixed(1) + " ms (95 %)", settings["processing-deadline"] / 1e6);
  draw("late", isNew ? 0 : Math.max(0, late - lastLate), () => late + " of " + frames);
  [lastLate, lastFrames] = [late, frames];
  const rows = {
    "Latency": status["latency-ms"] === null ? "–" : status["latency-ms"].toFixed(0) + " ms",
    "Format": status.format.width + "×" + status.format.height + ", " + status.format["frames-per-second"].toFixed(2) + " fps",
    "Model": stats["model-name"] || "loading",
    "Runs on": stats["active-execution-provider"] || "–",
    "With a new mouth": stats["frames-synced"], "In pauses": stats["frames-silent"], "Without a face": stats["frames-no-face"],
    "Mouth hidden": stats["frames-occluded"], "Without all audio": stats["frames-late"], "Failed": stats["frames-error"],
    "Viewers": status.viewers,
  };
  at("figures").replaceChildren(...Object.entries(rows).flatMap(([name, value]) => [item("dt", name), item("dd", value ?? "–")]));
}

function draw(name, value, text, limit) {
  const values = charts[name], canvas = at(name + "-chart");
  values.push(value);
  if (values.length > POINTS) values.shift();
  at(name + "-text").textContent = text(value);
  const scale = devicePixelRatio || 1, [width, height] = [canvas.clientWidth, canvas.clientHeight];
  [canvas.width, canvas.height] = [width * scale, height * scale];
  const pen = canvas.getContext("2d"), top = Math.max(limit ?? 1, ...values) * 1.15;
  pen.scale(scale, scale);
  const y = value => height - 2 - value / top * (height - 4);
  if (limit) { pen.strokeStyle = "#d9a44199"; pen.setLineDash([4, 4]); pen.beginPath(); pen.moveTo(0, y(limit)); pen.lineTo(width, y(limit)); pen.stroke(); pen.setLineDash([]); }
  pen.strokeStyle = "#6ea8d8"; pen.lineWidth = 1.5; pen.beginPath();
  values.forEach((value, index) => pen.lineTo(width - (values.length - 1 - index) * width / (POINTS - 1), y(value)));
  pen.stroke();
}

function showMeters(meters) {
  const decibels = value => value <= -100 ? "silent" : value.toFixed(0) + " dBFS";
  ["left", "right"].forEach((side, channel) => {
    const level = meters.level[channel] ?? -120;
    at(side).value = Math.max(-60, level);
    at(side + "-text").textContent = decibels(level);
  });
  at("gate").value = meters.gate ?? 0;
  at("gate-text").textContent = meters.gate === null ? "–" : meters.gate > 0 ? "speech" : "closed";
  const face = meters.faces.find(face => face.drawn);
  at("openness").value = face?.openness ?? 0;
  at("openness-text").textContent = face ? face.openness.toFixed(2) : "no face";
  const boxes = at("faces");
  meters.faces.sort((a, b) => a.x - b.x);
  while (boxes.children.length > meters.faces.length) boxes.lastChild.remove();
  while (boxes.children.length < meters.faces.length) boxes.append(item("button", "", { type: "button", onclick: choose }));
  meters.faces.forEach((face, index) => {
    const box = boxes.children[index], share = value => value * 100 + "%";
    Object.assign(box.style, { left: share(face.x), top: share(face.y), width: share(face.width), height: share(face.height) });
    box.className = face.drawn ? "drawn" : "";
    box.textContent = index + 1;
    box.title = (face.drawn ? "Speaks" : "Let it speak") + ", confidence " + face.confidence.toFixed(2);
    box.point = { "face-x": face.x + face.width / 2, "face-y": face.y + face.height / 2 };
  });
}

function choose(event) {
  change(event.currentTarget.point);
  event.currentTarget.blur();
}

function showEntry(entry) {
  const made = item("li", ""), when = new Date(entry.time);
  made.append(item("time", when.toLocaleTimeString([], { hour12: false })), item("span", entry.text, { className: entry.level }));
  at("log").prepend(made);
  while (at("log").children.length > 200) at("log").lastChild.remove();
}

function toggle(id) {
  const isOn = at(id).getAttribute("aria-pressed") !== "true";
  at(id).setAttribute("aria-pressed", isOn);
  return isOn;
}
at("bypass").onclick = () => change({ bypass: !settings.bypass });
at("listen").onclick = () => { at("after").muted = !toggle("listen"); };
at("show-faces").onclick = () => at("faces").classList.toggle("hidden", !toggle("show-faces"));
at("show-split").onclick = () => {
  const isOn = toggle("show-split");
  at("screen").classList.toggle("split", isOn);
  at("split").value = isOn ? 50 : 0;
  at("split").oninput();
};
at("largest").onclick = () => change({ "face-x": -1, "face-y": -1 });
at("split").oninput = () => at("screen").style.setProperty("--split", at("split").value + "%");
at("strength").oninput = event => change({ strength: Number(event.target.value) });
at("offset").oninput = event => change({ "sync-offset": Math.round(event.target.value * 1e6) });
at("fade").oninput = event => change({ "fade-time": Math.round(event.target.value * 1e6) });
at("model").onchange = event => change({ model: event.target.value });
at("silence").onchange = event => change({ silence: event.target.value });
at("debug").onchange = event => change({ "draw-debug": event.target.checked });
at("settings").onsubmit = event => event.preventDefault();

// The next Space is the cut again, and not the button that was clicked.
document.addEventListener("click", event => event.detail > 0 && event.target.closest("button")?.blur());

document.addEventListener("keydown", event => {
  if (at("door").open || event.ctrlKey || event.metaKey || event.altKey) return;
  const where = event.target.tagName;
  // A key that is held must not cut in and out; a browser clicks a button with each Enter, and scrolls with Space.
  if (event.repeat && !event.key.startsWith("Arrow")) {
    if (where === "BUTTON" || where === "BODY") event.preventDefault();
    return;
  }
  const strength = step => change({ strength: Math.min(2, Math.max(0, Math.round((settings.strength + step) * 20) / 20)) });
  const keys = {
    " ": () => where !== "BUTTON" && where !== "SELECT" && where !== "INPUT" && at("bypass").click(),
    ArrowUp: () => where === "BODY" && strength(0.05), ArrowDown: () => where === "BODY" && strength(-0.05),
    0: () => at("largest").click(),
    m: () => at("listen").click(), b: () => at("show-split").click(), f: () => at("show-faces").click(),
  };
  const face = where !== "INPUT" && where !== "SELECT" && at("faces").children[event.key - 1];
  if (face) change(face.point);
  const done = where !== "SELECT" && keys[event.key]?.();
  if (done !== false && keys[event.key] && (event.key === " " || event.key.startsWith("Arrow"))) event.preventDefault();
});

begin();
