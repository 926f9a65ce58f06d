// The server: recordings go there, jobs wait in its line, and what they say on the way comes back.

const JOBS = { listen: 0, play: 1 };
const LOST = "The server cannot be reached. Is it still running?";
const FULL = "Too many people are in line just now. Please try again in a minute.";

export class Problem extends Error {}

const random = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

async function post(address, options = {}) {
  let answer;
  try {
    answer = await fetch(address, { method: "POST", ...options });
  } catch {
    throw new Problem(LOST);
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const told = await answer.json().catch(() => ({}));
  if (answer.status === 503 && !told.error) throw new Problem(FULL);
  throw new Problem(told.error || "The server did not accept this.");
}

/** Sends a recording (a Blob), or asks for the example when there is none; gives its id. */
export async function send(blob) {
  const { recording } = blob ? await post("recordings", { body: blob }) : await post("example");
  return recording;
}

/** Runs a job to its end; `tell(words, share)` hears how it goes. */
export async function run(name, data, tell = () => {}) {
  const session = random();
  await post("engine/gradio_api/queue/join", {
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ data, fn_index: JOBS[name], session_hash: session }),
  });
  return new Promise((resolve, reject) => {
    const line = new EventSource(`engine/gradio_api/queue/data?session_hash=${session}`);
    line.onmessage = ({ data: text }) => {
      const message = JSON.parse(text);
      if (message.msg === "estimation" && message.rank > 0) tell(`In line: ${message.rank} before you`);
      if (message.msg === "log") tell(message.log, Number(message.title));
      if (message.msg === "process_completed") {
        line.close();
        if (message.success) resolve(message.output.data[0]);
        else reject(new Problem(message.output.error || "Something went wrong. Please try again."));
      }
      if (message.msg === "unexpected_error" || message.msg === "server_stopped") {
        line.close();
        reject(new Problem(LOST));
      }
    };
    line.onerror = () => {
      line.close();
      reject(new Problem(LOST));
    };
  });
}

export const fileOf = (recording, name, version = 0) => `recordings/${recording}/${name}?v=${version}`;

/** Lets the server delete a recording, also while the page is being left. */
export const forget = (recording) => recording && navigator.sendBeacon(`recordings/${recording}/forget`);
