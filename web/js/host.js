// What the host of a room may do besides speaking: invite others, show the captions elsewhere, replace links, end.

import { button, choice, fill, h, sheet, toggle } from "./dom.js";
import { t } from "./i18n/index.js";
import { invitation } from "./invite.js";
import { preferred } from "./languages.js";
import { link, shared } from "./room.js";
import { languageSelect } from "./settings.js";

/** @typedef {import("./protocol.js").Links} Links */

export class Host {
  /**
   * @param {import("./room.js").Room} room
   * @param {string} address of this server for others
   */
  constructor(room, address) {
    this.room = room;
    this.address = address;
    this.invitation = h("div", { id: "invite" });
    this.element = h("div", { id: "host" });
    /** @type {Links | null} */
    this.links = null;
    /** the sheet that shows the speakers' link, while it is open */
    this._speakers = () => {};
  }

  /** @param {Links} links */
  take(links) {
    const before = this.links;
    this.links = links;
    if (before?.listener !== links.listener) this._invite(links);
    if (!before) fill(this.element, this._menu());
    else if (before.listener !== links.listener) this.room.tell("links", "speak.new-link.done", { passing: true });
    else if (before.speaker !== links.speaker) this.room.tell("links", "speak.new-speaker-link.done", { passing: true });
    this._speakers();
  }

  /** @param {Links} links */
  _invite(links) {
    const { code } = this.room.connection;
    fill(
      this.invitation,
      invitation(shared(this.address, "listen", links.listener), t("speak.invite.note")),
      code ? h("p", { class: "code" }, t("speak.code", { code })) : null,
    );
  }

  _menu() {
    return h(
      "details",
      null,
      h("summary", null, t("more")),
      h(
        "div",
        { class: "stack" },
        button(t("speak.overlay"), () => this._overlay(), { icon: "text", id: "overlay" }),
        button(t("speak.co-speaker"), () => this._coSpeaker(), { icon: "people", id: "co-speaker" }),
        button(t("speak.new-link"), () => this.room.connection.send({ type: "rotate", role: "listener" }), { icon: "repeat", id: "new-link" }),
        h("p", { class: "quiet" }, t("speak.new-link.note")),
        button(t("speak.end-room"), () => this._end(), { icon: "close", class: "danger", id: "end-room" }),
      ),
    );
  }

  _coSpeaker() {
    const invite = h("div", null);
    const done = h("p", { class: "notice", role: "status" }, t("speak.new-speaker-link.done"));
    let shown = "";
    this._speakers = () => {
      const speaker = this.links?.speaker ?? "";
      if (speaker === shown) return;
      done.hidden = shown === "";
      shown = speaker;
      fill(invite, invitation(shared(this.address, "speak", speaker), t("speak.co-speaker.note")));
    };
    this._speakers();
    const replace = button(t("speak.new-speaker-link"), () => this.room.connection.send({ type: "rotate", role: "speaker" }), { icon: "repeat", id: "new-speaker-link" });
    const dialog = sheet(t("speak.co-speaker"), t("close"), done, invite, replace, h("p", { class: "quiet" }, t("speak.new-speaker-link.note")));
    dialog.addEventListener("close", () => (this._speakers = () => {}));
  }

  /** The overlay's address, put together; it is for a machine, so its choices are in it. */
  _overlay() {
    const codes = this.room.languages;
    const options = {
      lang: preferred().find((code) => codes.includes(code)) ?? codes[0] ?? "en",
      size: "48",
      lines: "2",
      position: "bottom",
      align: "left",
      fade: "10",
      shade: "1",
    };
    const address = h("input", { type: "text", readonly: true, id: "overlay-link", "aria-label": t("speak.overlay"), onfocus: () => address.select() });
    const open = h("a", { class: "button", target: "_blank", rel: "noopener noreferrer" }, t("overlay.open"));
    const made = () => {
      const { code } = this.room.connection;
      address.value = open.href = link("overlay", this.links?.listener ?? "", { ...options, ...(code ? { code } : {}) });
    };
    /** @param {keyof typeof options} name */
    const set = (name) => (/** @type {string} */ value) => {
      options[name] = value;
      made();
    };
    made();
    sheet(
      t("speak.overlay"),
      t("close"),
      h("p", { class: "quiet" }, t("overlay.note")),
      languageSelect(t("listen.languages"), codes, options.lang, set("lang"), { id: "overlay-language" }),
      choice(t("display.size"), ["32", "48", "64", "96"].map((px) => /** @type {[string, string]} */ ([px, px])), options.size, set("size")),
      choice(t("overlay.lines"), ["1", "2", "3"].map((n) => /** @type {[string, string]} */ ([n, n])), options.lines, set("lines")),
      choice(t("overlay.position"), [["bottom", t("overlay.bottom")], ["top", t("overlay.top")]], options.position, set("position")),
      choice(t("overlay.align"), [["left", t("overlay.left")], ["center", t("overlay.center")]], options.align, set("align")),
      choice(t("overlay.fade"), [...["5", "10", "20"].map((s) => /** @type {[string, string]} */ ([s, t("overlay.fade.s", { s })])), ["0", t("overlay.fade.never")]], options.fade, set("fade")),
      toggle(t("overlay.shade"), true, (on) => set("shade")(on ? "1" : "0")),
      h("div", { class: "row" }, address, button(t("copy"), () => void navigator.clipboard?.writeText(address.value), { icon: "link" }), open),
    );
  }

  _end() {
    const dialog = sheet(
      t("speak.end-room"),
      t("close"),
      h("p", null, t("speak.end-room.ask")),
      button(t("speak.end-room"), () => {
        this.room.connection.send({ type: "close" });
        dialog.close();
      }, { class: "danger wide", id: "end-room-now" }),
    );
  }
}
