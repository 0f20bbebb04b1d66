// What every page in a room shares: the link's token, the connection, the captions, the delay, and what to tell people.

import { Captions } from "./captions.js";
import { Connection } from "./connection.js";
import { Delay } from "./delay.js";
import { button, fill, h } from "./dom.js";
import { seconds, t } from "./i18n/index.js";
import { nativeName } from "./languages.js";
import { CLOSE } from "./protocol.js";

/** @typedef {import("./i18n/index.js").Key} Key */

const LATE_CLAUSES = 5;
const PASSING_MS = 6000;

/** The token and options behind `#`, where they stay: they reach neither a server's log nor a Referer. */
export function fragment() {
  const [token = "", ...rest] = location.hash.slice(1).split("&");
  return { token, options: new URLSearchParams(rest.join("&")) };
}

/**
 * @param {string} page
 * @param {string} token
 * @param {Record<string, string>} [options]
 */
export function link(page, token, options = {}) {
  const more = new URLSearchParams(options).toString();
  return new URL(`${page}#${token}${more ? `&${more}` : ""}`, new URL(".", location.href)).href;
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * A link for other people's devices: `localhost` is each device's own.
 * @param {string} address of this server for others, "" where it is not known
 * @param {string} page
 * @param {string} token
 */
export function shared(address, page, token) {
  const here = link(page, token);
  const local = LOOPBACK.test(location.hostname);
  return { url: local && address ? new URL(`${page}#${token}`, `${address}/`).href : here, local: local && !address };
}

/** @type {Partial<Record<number, Key>>} */
const REASONS = {
  [CLOSE.unauthorised]: "error.link",
  [CLOSE.forbidden]: "error.role",
  [CLOSE.ended]: "error.ended",
  [CLOSE.guesses]: "error.guesses",
  [CLOSE.version]: "error.version",
  [CLOSE.flood]: "error.flood",
  [CLOSE.malformed]: "error.protocol",
  [CLOSE.oversized]: "error.protocol",
};

/** @type {Record<string, Key>} by stage */
const TROUBLES = {
  capture: "trouble.capture",
  recognise: "trouble.recognise",
  translate: "trouble.translate",
  speak: "trouble.speak",
  session: "trouble.session",
};

/** @type {Record<string, Key>} */
const REFUSALS = {
  "unknown-language": "error.language",
  "too-many-languages": "error.languages",
  "too-many-channels": "error.channels",
  busy: "error.busy-speaker",
  "host-only": "error.role",
};

export class Room {
  /**
   * @param {import("./protocol.js").Wanted} wanted
   * @param {{message?: (message: import("./protocol.js").ServerMessage) => void,
   *   voice?: (voice: import("./protocol.js").Voice) => void, status?: () => void, save?: () => void,
   *   speaker?: boolean}} [handlers] `save` saves the text
   */
  constructor(wanted, handlers = {}) {
    this.handlers = handlers;
    this.captions = new Captions();
    this.delay = new Delay();
    this.notices = h("div", { class: "notices", role: "status" });
    this.state = h("span", { class: "state", id: "state" }, t("connecting"));
    /** @type {string[]} */
    this.languages = [];
    /** @type {"" | "host" | "speaker" | "listener"} */
    this.role = "";
    this.demo = false;
    /** s that the text is kept after the end */
    this.keep = 0;
    /** the beginning of what was said is not in this page, because the server no longer keeps it */
    this.cut = false;
    this._epoch = "";
    this._lateClauses = 0;
    this._wasOpen = false;
    /** @type {Map<string, number>} notices that go by themselves */
    this._passing = new Map();
    this._newest = 0; // of the log when we were welcomed: what is older comes as history
    this.connection = new Connection(fragment().token, wanted, {
      message: (message) => this._message(message),
      voice: (voice) => handlers.voice?.(voice),
      status: (status) => this._status(status),
    });
    setInterval(() => this._showDelay(), 500);
    addEventListener("hashchange", () => location.reload()); // another link in the same tab is another room
  }

  open() {
    if (!fragment().token) return this.tell("link", "error.no-link", { danger: true, home: true });
    this.connection.open();
  }

  /** @param {import("./protocol.js").ServerMessage} message */
  _message(message) {
    switch (message.type) {
      case "welcome":
        this._welcome(message);
        break;
      case "caption":
        if (this.isLive(message) && !this.captions.seen.has(message.sequence)) {
          this.delay.live(message, this.connection.oneWay);
        }
        break;
      case "ended":
        this._ended(message.code);
        break;
      case "closed":
        if (message.code !== "end") this.tell("engine", "error.engine", { detail: message.code });
        break;
      case "refused":
        this.tell("refused", REFUSALS[message.code] ?? "error.engine");
        break;
      case "trouble":
        this._trouble(message);
        break;
      case "lag":
        this.delay.capture = message.stages.capture ?? 0;
        this._late(Boolean(message.misses?.length));
        break;
    }
    this.captions.add(message);
    this.handlers.message?.(message);
  }

  /** @param {import("./protocol.js").Trouble} message */
  _trouble({ stage, language, channel, code, replaced }) {
    if (code === "language-unserved") {
      if (this.told("served")) return;
      const { words, language: spoken } = this.captions.channels.get(channel) ?? { words: [], language: "" };
      const from = words.at(-1)?.language ?? spoken;
      const values = { from: from && from !== "auto" ? nativeName(from) : t("trouble.unserved.this"), to: nativeName(language) };
      return this.tell(`trouble ${stage} ${language}`, "trouble.unserved", { values, passing: true });
    }
    this.tell(`trouble ${stage}`, replaced ? "trouble.replaced" : TROUBLES[stage] ?? "error.engine", { detail: code, passing: true });
  }

  /** Whether a message of the log happens now; others come as history. @param {{sequence: number}} message */
  isLive(message) {
    return message.sequence > this._newest;
  }

  /** @param {import("./protocol.js").Welcome} message */
  _welcome(message) {
    // Only of another log is anything gone that we had, apart from a beginning that was cut: what is kept comes again.
    const gone = this.captions.seen.size > 0 && this._epoch !== message.epoch;
    this._epoch = message.epoch;
    if (!message.recovered) {
      this.captions.clear();
      this.delay.clear();
      this.cut = message.cut ?? false;
    }
    this._newest = message.sequence;
    this.languages = message.languages;
    this.role = message.role;
    this.demo = message.demo;
    this.keep = message.keep_s;
    if (this.cut) this.tell("cut", "cut");
    else this.untell("cut");
    if (this._wasOpen && (gone || !this.cut)) this.tell("connection", gone ? "gap" : "back", { passing: true });
    else this.untell("connection");
    this._wasOpen = true;
  }

  /** @param {string} code */
  _ended(code) {
    this.connection.finished = true;
    const key = /** @type {Key} */ (`room.ended.${code}`);
    this.untell("connection");
    this.tell("ended", key, { home: true, save: this.captions.segments.length > 0 });
  }

  /** One late clause is nothing to tell; a row of them is. @param {boolean} late */
  _late(late) {
    this._lateClauses = late ? this._lateClauses + 1 : 0;
    if (this._lateClauses === LATE_CLAUSES) this.tell("late", "error.degraded", { passing: true });
  }

  /** @param {import("./connection.js").Status} status */
  _status(status) {
    document.documentElement.dataset.connection = status.phase;
    this.state.classList.toggle("live", status.phase === "open");
    if (status.phase === "lost") {
      const key = !this._wasOpen ? "error.server" : this.handlers.speaker ? "lost.speaker" : "lost";
      this.tell("connection", status.code === CLOSE.busy ? "error.busy" : key, { danger: true });
    } else if (status.phase === "over" && status.code === CLOSE.code) this._askCode();
    else if (status.phase === "over" && status.code !== 1000 && !this.captions.ended) {
      this.tell("connection", REASONS[status.code] ?? "error.server", { danger: true, home: true });
    }
    this._showDelay();
    this.handlers.status?.();
  }

  _askCode() {
    const field = h("input", { type: "text", id: "code", maxlength: 32, autocomplete: "off", "aria-label": t("room.code") });
    const enter = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.connection.code = field.value.trim();
      this.untell("connection");
      this.connection.open();
    };
    this.tell("connection", "room.code.ask", {});
    this.notices.querySelector('[data-id="connection"]')?.append(
      h("form", { class: "code-form", onsubmit: enter }, field, h("button", { type: "submit", class: "button primary" }, t("ok"))),
    );
    field.focus();
  }

  _showDelay() {
    const { phase } = this.connection.status;
    const talking = [...this.captions.channels.values()].some((channel) => channel.open);
    const delay = this.delay.caption;
    let text = t("connecting");
    if (this.captions.ended || phase === "over") text = "";
    else if (phase === "lost") text = "…";
    else if (phase === "open" && !talking) text = t("connected"); // nobody speaks: nothing is live
    else if (phase === "open") text = delay !== null ? t("behind", { s: seconds(delay) }) : t("live");
    if (this.state.textContent !== text) this.state.textContent = text;
  }

  /**
   * @param {string} id one notice of a kind at a time
   * @param {Key} key
   * @param {{danger?: boolean, home?: boolean, save?: boolean, passing?: boolean, detail?: string,
   *   values?: Record<string, string | number>}} [options]
   */
  tell(id, key, options = {}) {
    let notice = /** @type {HTMLElement | null} */ (this.notices.querySelector(`[data-id="${id}"]`));
    if (!notice) {
      notice = h("div", { data: { id } });
      this.notices.append(notice);
    }
    notice.className = `notice ${options.danger ? "danger" : ""}`;
    fill(
      notice,
      h("p", null, t(key, options.values)),
      options.detail ? h("p", { class: "quiet" }, options.detail) : null,
      options.save && this.handlers.save ? button(t("save"), this.handlers.save, { icon: "save" }) : null,
      options.home ? h("a", { class: "button", href: "./" }, t("room.again")) : null,
    );
    clearTimeout(this._passing.get(id));
    if (options.passing) this._passing.set(id, window.setTimeout(() => this.untell(id), PASSING_MS));
  }

  /** @param {string} id */
  told(id) {
    return this.notices.querySelector(`[data-id="${id}"]`) !== null;
  }

  /** @param {string} id */
  untell(id) {
    this.notices.querySelector(`[data-id="${id}"]`)?.remove();
  }
}
