// A link for other people: as a code to scan, to copy and to share.

import { ApiError, qr } from "./api.js";
import { button, h } from "./dom.js";
import { t } from "./i18n/index.js";

/**
 * @param {{url: string, local: boolean}} link `local` where only this computer can follow it
 * @param {string} note
 */
export function invitation({ url, local }, note) {
  const image = h("img", { class: "qr", alt: t("speak.invite"), width: 240, height: 240 });
  const draw = () =>
    qr(url).then((address) => {
      image.src = address;
      image.hidden = false;
    }, (error) => {
      image.hidden = true;
      if (error instanceof ApiError && error.code === "busy") setTimeout(() => image.isConnected && void draw(), error.retryMs);
    });
  void draw();
  const copy = button(t("copy"), async () => {
    await navigator.clipboard?.writeText(url);
    const text = copy.querySelector("span");
    if (text) text.textContent = t("copied");
  }, { icon: "link" });
  const share = "share" in navigator ? button(t("share"), () => void navigator.share({ url }).catch(() => undefined)) : null;
  return h("div", { class: "invite" }, h("p", { class: "quiet" }, note), local ? h("p", { class: "notice", id: "local" }, t("invite.local")) : null, image, h("div", { class: "row" }, copy, share));
}
