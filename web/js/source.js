// Where the sound comes from: a microphone, and which one; a tab or the screen; a file.

import { microphones } from "./capture.js";
import { choice, fill, h, select } from "./dom.js";
import { t } from "./i18n/index.js";

export class SourcePicker {
  constructor() {
    /** @type {"microphone" | "tab" | "file"} */
    this.kind = "microphone";
    this._device = "";
    /** @type {File | null} */
    this._file = null;
    /** which microphone, where there are several */
    this.devices = h("div", null);
    /** @type {(device: string) => void} */
    this.changed = () => {};
    this._chooser = h("input", {
      type: "file",
      accept: "audio/*,video/*",
      id: "file",
      class: "file",
      "aria-label": t("speak.choose-file"),
      onchange: () => (this._file = this._chooser.files?.[0] ?? null),
    });
    /** @type {[string, string][]} */
    const kinds = [["microphone", t("speak.microphone")], ["file", t("speak.file")]];
    if ("getDisplayMedia" in (navigator.mediaDevices ?? {})) kinds.splice(1, 0, ["tab", t("speak.tab")]);
    const picked = choice(t("speak.source"), kinds, this.kind, (value) => {
      this.kind = /** @type {typeof this.kind} */ (value);
      this._show();
    });
    this.element = h("div", { class: "controls" }, picked, this.devices, this._chooser);
    navigator.mediaDevices?.addEventListener?.("devicechange", () => void this.refresh());
    this._show();
    void this.refresh();
  }

  /** What was picked; null where a file must be chosen first, which is then asked for. @returns {import("./capture.js").SourceChoice | null} */
  pick() {
    if (this.kind === "tab") return { kind: "tab" };
    if (this.kind === "microphone") return { kind: "microphone", device: this._device };
    if (this._file) return { kind: "file", file: this._file };
    this._chooser.click();
    return null;
  }

  /** Back where one is chosen before speaking. */
  reset() {
    this.element.insertBefore(this.devices, this._chooser);
    void this.refresh();
  }

  /** Microphones have names only once one was granted, and come and go. */
  async refresh() {
    const found = await microphones();
    if (!found.some(({ deviceId }) => deviceId === this._device)) this._device = "";
    if (found.length < 2) return fill(this.devices);
    /** @type {[string, string][]} */
    const names = [["", t("speak.device.default")]];
    found.forEach(({ deviceId, label }, i) => names.push([deviceId, label || `${t("speak.device")} ${i + 1}`]));
    fill(this.devices, select(t("speak.device"), names, this._device, (value) => {
      this._device = value;
      this.changed(value);
    }, { id: "device" }));
  }

  _show() {
    this._chooser.hidden = this.kind !== "file";
    this.devices.hidden = this.kind !== "microphone";
  }
}
