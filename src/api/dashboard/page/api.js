// Asks the server. A key, where one is wanted, is kept in this tab alone.

const KEY = "pointsman-key";
let asking = null;

export class Problem extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

function headers(more) {
  const key = sessionStorage.getItem(KEY);
  return key ? { authorization: `Bearer ${key}`, ...more } : { ...more };
}

async function ask(path, options) {
  for (;;) {
    const response = await fetch(path, { ...options, headers: headers(options?.headers), cache: "no-store" });
    if (response.status === 401) {
      await wantKey(sessionStorage.getItem(KEY) !== null);
      continue;
    }
    const body = await response.json().catch(() => null);
    if (response.ok && body !== null) return body;
    throw new Problem(response.status, body?.error?.message ?? `the server answered ${response.status}`);
  }
}

/** Asks whoever looks for the key; everybody who waits for it waits for the same. */
function wantKey(wasWrong) {
  asking ??= new Promise((done) => {
    const [dialog, form] = ["key-dialog", "key-form"].map((id) => document.getElementById(id));
    const input = document.getElementById("key-input");
    document.getElementById("key-error").textContent = wasWrong ? "That key does not open this server." : "";
    const stay = (event) => event.preventDefault();
    dialog.addEventListener("cancel", stay);
    const taken = (event) => {
      event.preventDefault();
      sessionStorage.setItem(KEY, input.value.trim());
      input.value = "";
      form.removeEventListener("submit", taken);
      dialog.removeEventListener("cancel", stay);
      dialog.close();
      asking = null;
      done();
    };
    form.addEventListener("submit", taken);
    dialog.showModal();
    input.focus();
  });
  return asking;
}

export const get = (path, signal) => ask(path, { signal });

export const post = (path, body, signal) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal });
