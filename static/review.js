// The review queue by keyboard. Everything that a key does is a button or link on the page; without this file they stay.
"use strict";

const form = () => document.querySelector("#review .review-form");
const help = () => document.getElementById("review-help");
const named = (key) => document.querySelector(`#review [data-key="${CSS.escape(key)}"]`);
const isField = (node) => node instanceof Element && node.matches("input, select, textarea");

function isChanged(control) {
  if (control instanceof HTMLSelectElement) return [...control.options].some((o) => o.selected !== o.defaultSelected);
  return control.value !== control.defaultValue;
}

function correct(button) {
  const fields = [...form().querySelectorAll(".review-fields input, .review-fields select, .review-fields textarea")];
  if (fields.some((field) => field.name !== "note" && isChanged(field))) button.click();
  else fields[0]?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || help().open || document.documentElement.dataset.keys === "off") return;
  if (isField(event.target)) {
    if (event.key === "Escape") event.target.blur();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) named("c")?.click();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "?") {
    help().showModal();
    return;
  }
  const target = event.key.length === 1 ? named(event.key.toLowerCase()) : null;
  if (!target) return;
  event.preventDefault();
  if (target.dataset.key === "c") correct(target);
  else target.click();
});

// Enter in a field saves what was typed.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.target instanceof HTMLInputElement) || !event.target.closest(".review-fields")) return;
  event.preventDefault();
  if (event.target.name !== "note") named("c")?.click();
});

document.addEventListener("DOMContentLoaded", () => {
  const button = document.querySelector(".review-help-button");
  button.hidden = false;
  button.addEventListener("click", () => help().showModal());
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "review") return;
    const wrong = document.querySelector("#review [aria-invalid]");
    (wrong ?? document.getElementById("review-heading"))?.focus();
  });
});
