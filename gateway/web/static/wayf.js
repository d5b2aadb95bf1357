// The list of servers: filtered as one types, and filled as servers answer. Nothing needs it.

const PAUSE = 1500;
const ROUNDS = 20;
const MANY = 8;

function filter() {
  const places = document.getElementById("places");
  const box = places?.querySelector(".filter");
  const rows = [...(places?.querySelectorAll(".place") ?? [])];
  if (!box || rows.length < MANY) return;
  const field = box.querySelector("input");
  box.hidden = false;
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
}

async function fill(round) {
  const places = document.getElementById("places");
  if (!places?.hasAttribute("data-asked") || round >= ROUNDS) return;
  await new Promise((done) => setTimeout(done, PAUSE));
  const typed = places.querySelector(".filter input")?.value;
  if (!typed && !places.contains(document.activeElement)) {
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("places");
    if (!fresh) return;
    places.replaceWith(fresh);
    filter();
  }
  fill(round + 1);
}

filter();
fill(0);
