// Looks up the address while it is typed. Without this the button below the field does the same.
const form = document.getElementById("share");
const field = document.getElementById("with");
const seen = document.getElementById("with-seen");
form.querySelector("button[value=check]").hidden = true;

let timer;
let asked = "";
async function look() {
  const address = field.value.trim();
  if (address === asked) return;
  asked = address;
  if (!/.@./.test(address)) {
    seen.replaceChildren();
    return;
  }
  const answer = await fetch(`${seen.dataset.check}?with=${encodeURIComponent(address)}`);
  if (!answer.ok || address !== field.value.trim()) return;
  const { ok, html } = await answer.json();
  // Made by our own template, which escapes what comes from elsewhere.
  seen.innerHTML = html;
  field.setAttribute("aria-invalid", String(!ok));
}

field.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(look, 500);
});
field.addEventListener("change", look);
if (field.value) look();
