// The person who speaks: sound in, what is understood, who follows.

import { info, transcript } from "../api.js";
import { CaptureError, obstacle } from "../capture.js";
import { button, fill, h, relabel } from "../dom.js";
import { Heard } from "../heard.js";
import { Host } from "../host.js";
import { hours, seconds, setUp, t } from "../i18n/index.js";
import { nativeName, ordered, preferred } from "../languages.js";
import { LatencyPanel } from "../latency.js";
import { apply, prefs, remember } from "../prefs.js";
import { fragment, Room } from "../room.js";
import { Awake, brand, languageSelect, openDisplay, openSave } from "../settings.js";
import { SourcePicker } from "../source.js";
import { Speaking } from "../speaking.js";

/** @typedef {import("../i18n/index.js").Key} Key */

const QUIET = 0.003; // root mean square below which hardly anything arrives
const QUIET_BLOCKS = 125; // 5 s
const LOUD_MS = 3000; // that the advice to move back stays after the last clipped sound

apply();
await setUp("speak.title");
const app = /** @type {HTMLElement} */ (document.getElementById("app"));
const facts = await info();
const sources = ordered(facts.sources.length ? facts.sources : facts.languages);
const asked = fragment().options;
const picker = new SourcePicker({ picked: (device) => void pick(device), failed: complain });
let language = [asked.get("lang") ?? "", prefs.speaks, ...preferred()].find((code) => code === "auto" || sources.includes(code)) ?? "en";
let paused = false;
let heardFrom = ""; // the microphone; "" is the usual one
let quiet = 0;
let loudAt = -Infinity;
/** @type {string[]} that somebody reads or hears */
let followed = [];

const room = new Room(
  { captions: [], voices: [], source: true, tentative: true, opus: false },
  { message: take, status, save, speaker: true },
);
room.connection.code = asked.get("code") ?? "";
const speaking = new Speaking(room.connection, { level, ended: () => void lost(), interrupted, refused: () => void stop(), opened, closed: (_, code) => void closed(code) });
const awake = new Awake();
const panel = new LatencyPanel();
const host = new Host(room, facts.address);
const heard = new Heard(room.captions, t("speak.transcript"), t("speak.nothing"));

const meter = h("div", { class: "meter", role: "meter", "aria-label": t("speak.level"), "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": "0" }, h("span", null));
const advice = h("p", { class: "advice", role: "status" });
const audience = h("p", { class: "audience", id: "audience" }, t("speak.audience.none"));
const languages = h("ul", { class: "followed" });
const kept = h("p", { class: "quiet", id: "kept" }, t("kept"));
const controls = h("div", { class: "controls" });
const pending = h("p", { class: "quiet", id: "pending" });
const device = h("div", { id: "device-box" });
const others = h(
  "aside",
  { class: "card", "aria-label": t("speak.invite") },
  h("h2", null, t("speak.invite")),
  host.invitation,
  audience,
  languages,
  kept,
  h("details", null, h("summary", null, t("latency")), panel.element),
  host.element,
);

fill(
  app,
  h(
    "header",
    { class: "bar top" },
    brand(),
    h("h1", { class: "hidden" }, t("speak.title")),
    room.state,
    h("span", { class: "spring" }),
    button(t("display"), () => openDisplay(), { icon: "text", quiet: true }),
    button(t("save"), save, { icon: "save", quiet: true, id: "save" }),
  ),
  room.notices,
  h(
    "div",
    { class: "columns" },
    h("section", { class: "card speaking", "aria-label": t("speak.title") }, h("div", { class: "at-hand" }, controls, meter, advice), heard.element, pending, device),
    others,
  ),
);
setup();
room.captions.changed = () => heard.draw();
room.open();
app.dataset.ready = "yes";
setInterval(told, 500);
Object.assign(window, { tsuyaku: { room, speaking, host, panel, text: said } });

function setup() {
  const start = button(t("speak.start"), () => void begin(start), { icon: "mic", class: "primary big", id: "start" });
  picker.element.insertBefore(picker.devices, picker.element.lastChild);
  fill(
    controls,
    languageSelect(t("speak.language"), sources, language, (code) => {
      language = code;
      remember({ speaks: code });
    }, { auto: true, id: "language" }),
    picker.element,
    start,
  );
  start.disabled = room.connection.status.phase === "over"; // nobody would hear it
  void picker.refresh();
  meter.hidden = true;
  heard.element.hidden = !said();
  const blocked = obstacle();
  if (blocked) complain(blocked);
}

/** @param {HTMLButtonElement} start */
async function begin(start) {
  const source = picker.pick();
  if (!source) return;
  start.disabled = true;
  try {
    await speaking.start(source);
  } catch (error) {
    start.disabled = false;
    return complain(error instanceof CaptureError ? error : new CaptureError("capture-failed"));
  }
  room.untell("capture");
  speaking.open("voice", { language }); // `auto` chooses among all: who speaks may know none of this browser's languages
  speaking.active = "voice";
  void awake.hold();
  const pause = button(t("speak.pause"), () => {
    paused = !paused;
    speaking.active = paused ? "" : "voice";
    relabel(pause, paused ? "mic" : "pause", t(paused ? "speak.resume" : "speak.pause"));
    pause.setAttribute("aria-pressed", String(paused));
    advice.textContent = paused ? t("speak.paused") : "";
  }, { icon: "pause", class: "primary big", id: "pause", pressed: false });
  fill(controls, h("div", { class: "pair" }, pause, button(t("speak.stop"), finish, { icon: "stop", class: "danger big", id: "stop" })));
  meter.hidden = heard.element.hidden = false;
  if (source.kind === "microphone") {
    heardFrom = source.device;
    tellEcho();
    fill(device, picker.devices);
    void picker.refresh();
  }
  pause.focus();
}

function tellEcho() {
  advice.textContent = t(speaking.capture.settings.echoCancellation ? "speak.echo.on" : "speak.echo.off");
}

/** Another microphone, also while one is heard. @param {string} id */
async function pick(id) {
  room.untell("capture");
  if (!speaking.running) return;
  const box = device.querySelector("select");
  if (box) box.disabled = true;
  try {
    await speaking.change({ kind: "microphone", device: id });
    heardFrom = id;
    if (speaking.running && !paused) tellEcho();
  } catch (error) {
    picker.keep(heardFrom);
    complain(error instanceof CaptureError ? error : new CaptureError("capture-failed"));
  }
  if (box) box.disabled = false;
}

/** The person has nothing more to say. */
function finish() {
  room.untell("refused"); // whether there is a place matters no more
  void stop();
}

async function stop() {
  if (!speaking.running) return;
  await speaking.stop();
  awake.release();
  paused = false;
  advice.textContent = "";
  if (room.captions.ended) return;
  setup();
}

/** The server takes what is said. */
function opened() {
  room.untell("refused");
  room.untell("closed");
}

/** The server takes nothing more of what is said: the room is being ended, or its engines have failed. @param {string} code */
async function closed(code) {
  room.untell("engine"); // nothing goes on here
  room.tell("closed", "speak.closed", { danger: true, detail: code === "end" ? "" : code });
  await stop();
}

/** A file is over; a microphone or a tab has gone. */
async function lost() {
  const wasFile = picker.kind === "file";
  await stop();
  if (!wasFile) complain(new CaptureError("mic-lost"));
}

/** @param {boolean} now */
function interrupted(now) {
  if (now) room.tell("interrupted", "error.mic-interrupted", { danger: true });
  else room.untell("interrupted");
}

/** The room is over: what remains is its text. */
async function over() {
  await stop();
  room.untell("closed");
  fill(controls, h("p", null, t("speak.over")));
  meter.hidden = true;
  fill(device);
  others.hidden = true;
}

function save() {
  const remote = (/** @type {string} */ format, /** @type {string} */ code) => transcript(room.connection.token, format, code, room.connection.code);
  openSave(room, language, { languages: followed, remote });
}

/** @param {CaptureError} error */
function complain(error) {
  room.tell("capture", /** @type {Key} */ (`error.${error.code}`), { danger: true });
}

/**
 * @param {number} rms
 * @param {number} peak
 */
function level(rms, peak) {
  const shown = paused ? 0 : Math.max(0, Math.min(1, 1 + Math.log10(Math.max(rms, 1e-4)) / 3));
  const fillBar = /** @type {HTMLElement} */ (meter.firstElementChild);
  fillBar.style.transform = `scaleX(${shown})`;
  meter.setAttribute("aria-valuenow", String(Math.round(shown * 100)));
  if (paused) return;
  quiet = rms < QUIET ? quiet + 1 : 0;
  const now = performance.now();
  if (peak > 0.99) {
    loudAt = now;
    advice.textContent = t("speak.clipping");
  } else if (advice.textContent === t("speak.clipping") && now - loudAt > LOUD_MS) advice.textContent = "";
  if (quiet === QUIET_BLOCKS) advice.textContent = t("speak.quiet");
  else if (quiet === 0 && advice.textContent === t("speak.quiet")) advice.textContent = "";
}

/** @param {import("../protocol.js").ServerMessage} message */
function take(message) {
  speaking.take(message);
  if (message.type === "links") return host.take(message);
  if (message.type === "state") return state(message);
  if (message.type === "lag") panel.add(message, room.connection.oneWay);
  if (message.type === "welcome") kept.textContent = message.keep_s ? t("kept.hours", { h: hours(message.keep_s) }) : t("kept");
  if (message.type === "welcome" && message.role === "listener") room.tell("role", "error.role", { danger: true, home: true });
  if (message.type === "ended") void over();
}

/** @param {import("../protocol.js").State} message */
function state(message) {
  audience.textContent = message.listeners ? t("speak.audience", { n: message.listeners }) : t("speak.audience.none");
  followed = [...new Set([...Object.keys(message.captions), ...Object.keys(message.voices)])];
  fill(languages, followed.map((code) => h("li", null, h("span", { lang: code }, nativeName(code)), h("span", { class: "quiet" }, String(Math.max(message.captions[code] ?? 0, message.voices[code] ?? 0))))));
}

function status() {
  const { phase } = room.connection.status;
  if (phase === "lost") speaking.disconnected();
  if (phase === "over") void stop(); // nobody will take what is said
}

/** All committed words of everybody who speaks here, as one text. */
function said() {
  return [...room.captions.channels.values()].flatMap((channel) => channel.words.map((word) => word.text)).join("");
}

function told() {
  const waiting = speaking.pendingSeconds;
  const lost = speaking.lostSeconds;
  pending.textContent = lost > 0 ? t("speak.lost", { s: seconds(lost * 1000) }) : waiting > 2 ? t("speak.pending", { s: seconds(waiting * 1000) }) : "";
}
