// "/" goes to the search box, and buttons copy the text that they name. Whoever wants no single keys turns them off in the footer.
// What swaps parts of a page is loaded when a pointer or the focus comes to a filter, or when a part that it fills comes near; until then
// filters are plain forms, and such a part holds a link.
(() => {
  "use strict";
  const root = document.documentElement;
  const typed = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]";

  function kept(value) {
    try {
      if (value === undefined) return localStorage.getItem("keys");
      localStorage.setItem("keys", value);
    } catch { /* without storage the choice lasts as long as the page */ }
    return null;
  }

  function goToSearch(event) {
    if (event.key !== "/" || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (root.dataset.keys === "off" || event.target.closest(typed) || document.querySelector("dialog[open]")) return;
    const box = document.querySelector("[role=search] input");
    if (!box) return;
    event.preventDefault();
    box.focus();
    box.select();
  }

  async function copy(button) {
    const source = document.getElementById(button.dataset.copy), said = button.nextElementSibling;
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      said.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      said.textContent = "Selected; copy it with Ctrl C";
    }
  }

  let asked = false, missed = null;

  function loadSwaps() {
    const source = document.querySelector("meta[name=htmx-source]");
    if (asked || !source) return;
    asked = true;
    const script = document.createElement("script");
    script.src = source.content;
    script.addEventListener("load", () => { if (missed) window.htmx.trigger(missed, "change"); });
    const add = () => { document.head.append(script); };
    // Added before all is there, the library would wait for an event that has passed.
    if (document.readyState === "complete") add(); else addEventListener("load", add);
  }

  function prepareFilter(event) {
    const form = event.target instanceof Element && !window.htmx && (event.target.form || event.target.closest("[hx-get]"));
    if (!form || !form.matches("form[hx-get]")) return;
    if (event.type === "change") missed = form;
    loadSwaps();
  }

  function fillWhenNear(part) {
    new IntersectionObserver(function (seen, watch) {
      if (!seen.some((one) => one.isIntersecting)) return;
      watch.disconnect();
      loadSwaps();
    }, { rootMargin: "600px" }).observe(part);
  }

  for (const type of ["pointerover", "pointerdown", "focusin", "change"]) document.addEventListener(type, prepareFilter);
  // An entry of the history that swapping wrote, met by a page that was loaded anew.
  addEventListener("popstate", (event) => { if (event.state && event.state.htmx && !window.htmx) location.reload(); });

  root.dataset.keys = kept() || "on";
  document.addEventListener("keydown", goToSearch);
  document.addEventListener("DOMContentLoaded", () => {
    const box = document.getElementById("keys");
    box.closest("label").hidden = false;
    box.checked = root.dataset.keys === "on";
    box.addEventListener("change", () => { kept(root.dataset.keys = box.checked ? "on" : "off"); });
    for (const part of document.querySelectorAll("[hx-trigger=load]")) fillWhenNear(part);
    for (const button of document.querySelectorAll("[data-copy]")) {
      button.hidden = false;
      button.addEventListener("click", () => { copy(button); });
    }
  });
})();
