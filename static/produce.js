// Produce: what the form shows while it is typed in. Without this file the forms work the same.
"use strict";

(function () {
  const byId = (id) => document.getElementById(id);

  // A field that would not be sent is off, and says so.
  const NOT_SENT = { none: "the key is null", empty: "it is empty, 0 bytes", null: "the value is null" };
  if (byId("generator-form")) NOT_SENT.schema = "it is made from the schema";
  function bind(kindId, fieldId) {
    const kind = byId(kindId);
    if (!kind || !byId(fieldId)) return;
    const placeholder = byId(fieldId).placeholder;
    const fit = () => {
      const field = byId(fieldId); // the answer of a form may have replaced it
      const why = NOT_SENT[kind.value];
      field.disabled = Boolean(why);
      field.placeholder = why ? `not sent: ${why}` : placeholder;
      field.title = why ? `Not sent: ${why}. Choose another kind to type here.` : "";
    };
    kind.addEventListener("change", fit);
    fit();
  }
  bind("key-kind", "key");
  bind("value-kind", "value");

  // Of the fields of Many, those that the format and the kind of key need.
  const format = byId("format");
  const manyKey = byId("many-key-kind");
  if (format && manyKey) {
    const fit = () => {
      for (const part of document.querySelectorAll("[data-only]")) part.hidden = part.dataset.only !== format.value;
      for (const part of document.querySelectorAll("[data-key]")) part.hidden = part.dataset.key !== manyKey.value;
    };
    format.addEventListener("change", fit);
    manyKey.addEventListener("change", fit);
    fit();
  }

  // A field of the value that has the same template as the key follows it, while the key is edited.
  const generator = byId("generator-form");
  if (generator) {
    const key = generator.elements.key;
    const value = generator.elements.value;
    let base = null;
    key.addEventListener("focus", () => { base = { key: key.value, value: value.value, made: value.value }; });
    key.addEventListener("input", () => {
      if (!base || !base.key || value.value !== base.made) return;
      base.made = value.value = base.value.replaceAll(JSON.stringify(base.key), JSON.stringify(key.value));
    });
  }

  document.addEventListener("keydown", (event) => {
    const form = event.target.form;
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || !form) return;
    if (form.id === "many-form" || form.id === "generator-form") {
      event.preventDefault();
      form.requestSubmit(byId(form.id === "many-form" ? "send" : "start"));
    }
  });

  // A number that the browser would refuse in a part that is folded up could not be shown: open it.
  document.addEventListener("invalid", (event) => {
    const folded = event.target.closest("details");
    if (folded) folded.open = true;
  }, true);
})();
