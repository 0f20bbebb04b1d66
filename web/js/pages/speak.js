// The person who speaks: sound in, what is understood, who follows.

import { info } from "../api.js";
import { CaptureError, microphones, obstacle } from "../capture.js";
import { button, choice, fill, h, relabel, select, sheet } from "../dom.js";
import { seconds, setUp, t } from "../i18n/index.js";
import { invitation } from "../invite.js";
import { direction, nativeName, ordered, preferred } from "../languages.js";
import { LatencyPanel } from "../latency.js";
import { apply, prefs, remember } from "../prefs.js";
import { fragment, link, Room } from "../room.js";
import { Awake, brand, languageSelect, openDisplay, openSave } from "../settings.js";
import { Speaking } from "../speaking.js";

/** @typedef {import("../i18n/index.js").Key} Key */

const QUIET = 0.003; // root mean square below which hardly anything arrives
const QUIET_BLOCKS = 125; // 5 s

apply();
await setUp();
const app = /** @type {HTMLElement} */ (document.getElementById("app"));
const facts = await info();
const sources = ordered(facts.sources.length ? facts.sources : facts.languages);
const asked = fragment().options;
/** @type {"microphone" | "tab" | "file"} */
let source = "microphone";
let device = "";
let language = [asked.get("lang") ?? "", prefs.speaks, ...preferred()].find((code) => code === "auto" || sources.includes(code)) ?? "en";
/** @type {File | null} */
let file = null;
let paused = false;
let quiet = 0;

const room = new Room({ captions: [], voices: [], source: true, tentative: true, opus: false }, { message: take, status, speaker: true });
room.connection.code = asked.get("code") ?? "";
const speaking = new Speaking(room.connection, { level, ended: () => void stop() });
const awake = new Awake();
const panel = new LatencyPanel();

const meter = h("div", { class: "meter", role: "meter", "aria-label": t("speak.level"), "aria-valuemin": "0", "aria-valuemax": "100" }, h("span", null));
const advice = h("p", { class: "advice", role: "status" });
const heard = h("p", { class: "heard", role: "log", "aria-label": t("speak.transcript") });
const tail = h("p", { class: "heard tentative", "aria-hidden": "true" });
const empty = h("p", { class: "quiet" }, t("speak.nothing"));
const transcript = h("div", { class: "transcript", tabindex: "0", role: "region", "aria-label": t("speak.transcript") }, heard, tail, empty);
const audience = h("p", { class: "audience", id: "audience" }, t("speak.audience.none"));
const followed = h("ul", { class: "followed" });
const invite = h("div", { id: "invite" });
const controls = h("div", { class: "controls" });
const pending = h("p", { class: "quiet", id: "pending" });

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
    button(t("save"), () => openSave(room.captions, language), { icon: "save", quiet: true }),
  ),
  room.notices,
  h(
    "div",
    { class: "columns" },
    h("section", { class: "card speaking", "aria-label": t("speak.title") }, controls, meter, advice, transcript, pending),
    h(
      "aside",
      { class: "card", "aria-label": t("speak.invite") },
      h("h2", null, t("speak.invite")),
      invite,
      audience,
      followed,
      h("p", { class: "quiet", id: "kept" }, t("speak.kept")),
      h("details", null, h("summary", null, t("latency")), panel.element),
      h("div", { id: "host" }),
    ),
  ),
);
setup();
room.captions.changed = draw;
room.open();
app.dataset.ready = "yes";
setInterval(told, 500);
Object.assign(window, { tsuyaku: { room, speaking, text: said } });

function setup() {
  const start = button(t("speak.start"), () => void begin(start), { icon: "mic", class: "primary big", id: "start" });
  const chooser = h("input", { type: "file", accept: "audio/*,video/*", id: "file", class: "file", "aria-label": t("speak.choose-file"), onchange: () => (file = chooser.files?.[0] ?? null) });
  const devices = h("div", null);
  const show = () => {
    chooser.hidden = source !== "file";
    devices.hidden = source !== "microphone";
  };
  void microphones().then((found) => {
    if (found.length < 2) return;
    /** @type {[string, string][]} */
    const names = [["", t("speak.device.default")], ...found.map(({ deviceId, label }, i) => /** @type {[string, string]} */ ([deviceId, label || `${t("speak.device")} ${i + 1}`]))];
    fill(devices, select(t("speak.device"), names, device, (value) => (device = value), { id: "device" }));
  });
  /** @type {[string, string][]} */
  const kinds = [["microphone", t("speak.microphone")], ["file", t("speak.file")]];
  if ("getDisplayMedia" in (navigator.mediaDevices ?? {})) kinds.splice(1, 0, ["tab", t("speak.tab")]);
  fill(
    controls,
    languageSelect(t("speak.language"), sources, language, (code) => {
      language = code;
      remember({ speaks: code });
    }, { auto: true, id: "language" }),
    choice(t("speak.source"), kinds, source, (value) => {
      source = /** @type {typeof source} */ (value);
      show();
    }),
    devices,
    chooser,
    start,
  );
  show();
  meter.hidden = true;
  transcript.hidden = !said();
  const blocked = obstacle();
  if (blocked) complain(blocked);
}

/** @param {HTMLButtonElement} start */
async function begin(start) {
  if (source === "file" && !file) return /** @type {HTMLElement} */ (document.getElementById("file")).click();
  start.disabled = true;
  try {
    await speaking.start(source === "file" ? { kind: "file", file: /** @type {File} */ (file) } : source === "tab" ? { kind: "tab" } : { kind: "microphone", device });
  } catch (error) {
    start.disabled = false;
    return complain(error instanceof CaptureError ? error : new CaptureError("capture-failed"));
  }
  room.untell("capture");
  speaking.open("voice", { language, candidates: language === "auto" ? sources.filter((code) => preferred().includes(code) || code === "en").slice(0, 4) : [] });
  speaking.active = "voice";
  void awake.hold();
  const pause = button(t("speak.pause"), () => {
    paused = !paused;
    speaking.active = paused ? "" : "voice";
    relabel(pause, paused ? "mic" : "pause", t(paused ? "speak.resume" : "speak.pause"));
    pause.setAttribute("aria-pressed", String(paused));
    advice.textContent = paused ? t("speak.paused") : "";
  }, { icon: "pause", id: "pause", pressed: false });
  fill(controls, h("div", { class: "row" }, pause, button(t("speak.stop"), () => void stop(), { icon: "stop", class: "danger", id: "stop" })));
  meter.hidden = transcript.hidden = false;
  if (source === "microphone") advice.textContent = t(speaking.capture.settings.echoCancellation ? "speak.echo.on" : "speak.echo.off");
  pause.focus();
}

async function stop() {
  if (!speaking.running) return;
  await speaking.stop();
  awake.release();
  paused = false;
  advice.textContent = "";
  setup();
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
  if (peak > 0.99) advice.textContent = t("speak.clipping");
  else if (quiet === QUIET_BLOCKS) advice.textContent = t("speak.quiet");
  else if (quiet === 0 && advice.textContent === t("speak.quiet")) advice.textContent = "";
}

/** @param {import("../protocol.js").ServerMessage} message */
function take(message) {
  speaking.take(message);
  if (message.type === "links") return links(message);
  if (message.type === "state") return state(message);
  if (message.type === "lag") panel.add(message, room.connection.oneWay);
  if (message.type === "welcome" && message.keep_s) {
    /** @type {HTMLElement} */ (document.getElementById("kept")).textContent = t("speak.kept.hours", { h: message.keep_s / 3600 });
  }
  if (message.type === "welcome" && message.role === "listener") room.tell("role", "error.role", { danger: true, home: true });
  if (message.type === "ended") void stop();
}

/** @param {import("../protocol.js").Links} tokens */
function links(tokens) {
  const url = link("listen", tokens.listener);
  fill(invite, invitation(url, t("speak.invite.note")), room.connection.code ? h("p", { class: "code" }, t("speak.code", { code: room.connection.code })) : null);
  const overlay = link("overlay", tokens.listener, { lang: "pt", size: "48", lines: "2" });
  fill(
    /** @type {HTMLElement} */ (document.getElementById("host")),
    h(
      "details",
      null,
      h("summary", null, t("more")),
      h("p", null, h("a", { href: overlay, target: "_blank", rel: "noopener noreferrer" }, t("speak.overlay"))),
      button(t("speak.co-speaker"), () => sheet(t("speak.co-speaker"), t("close"), invitation(link("speak", tokens.speaker), t("speak.co-speaker.note"))), { icon: "people" }),
      h("p", { class: "quiet" }, t("speak.new-link.note")),
      h(
        "div",
        { class: "row" },
        button(t("speak.new-link"), () => room.connection.send({ type: "rotate", role: "listener" }), { icon: "repeat" }),
        button(t("speak.end-room"), () => room.connection.send({ type: "close" }), { icon: "close", class: "danger", id: "end-room" }),
      ),
    ),
  );
}

/** @param {import("../protocol.js").State} message */
function state(message) {
  audience.textContent = message.listeners ? t("speak.audience", { n: message.listeners }) : t("speak.audience.none");
  const codes = [...new Set([...Object.keys(message.captions), ...Object.keys(message.voices)])];
  fill(followed, codes.map((code) => h("li", null, h("span", { lang: code }, nativeName(code)), h("span", { class: "quiet" }, String(Math.max(message.captions[code] ?? 0, message.voices[code] ?? 0))))));
}

function status() {
  if (room.connection.status.phase === "lost") speaking.disconnected();
}

/** All committed words of everybody who speaks here, as one text. */
function said() {
  return [...room.captions.channels.values()].flatMap((channel) => channel.words.map((word) => word.text)).join("");
}

function draw() {
  const text = said();
  const open = [...room.captions.channels.keys()].map((number) => room.captions.sourceTail(number)).join("");
  const code = [...room.captions.channels.values()].at(-1)?.words.at(-1)?.language ?? language;
  heard.lang = tail.lang = code === "auto" ? "" : code;
  heard.dir = tail.dir = direction(code);
  if (heard.textContent !== text) heard.textContent = text;
  tail.textContent = open;
  empty.hidden = Boolean(text || open);
  if (transcript.scrollHeight - transcript.scrollTop - transcript.clientHeight < 200) transcript.scrollTop = transcript.scrollHeight;
}

function told() {
  const waiting = speaking.pendingSeconds;
  const lost = speaking.lostSeconds;
  pending.textContent = lost > 0 ? t("speak.lost", { s: seconds(lost * 1000) }) : waiting > 2 ? t("speak.pending", { s: seconds(waiting * 1000) }) : "";
}
