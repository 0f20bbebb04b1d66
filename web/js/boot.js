// Runs before the modules: says so when the page itself cannot start. A classic script, so that it also runs in browsers
// that know no modules.
(function () {
  "use strict";
  var shown = false;
  /** @param {string} detail */
  function fail(detail) {
    var main = document.getElementById("app");
    if (shown || !main || main.dataset.ready) return;
    shown = true;
    var box = document.createElement("div");
    box.className = "notice danger";
    box.setAttribute("role", "alert");
    var title = document.createElement("p");
    title.textContent = "This page could not start. Please reload it, or use a current Chrome, Firefox, Safari or Edge.";
    var reason = document.createElement("p");
    reason.className = "quiet";
    reason.textContent = detail;
    box.appendChild(title);
    box.appendChild(reason);
    main.appendChild(box);
  }
  window.addEventListener("error", function (event) {
    fail(event.message || "A file of the page did not load.");
  }, true);
  window.addEventListener("unhandledrejection", function (event) {
    fail(String(event.reason && event.reason.message ? event.reason.message : event.reason));
  });
  if (!("noModule" in HTMLScriptElement.prototype)) fail("This browser is too old for the page.");
})();
