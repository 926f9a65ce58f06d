// The client of the server: uploads, jobs in the queue and their progress.

const JOBS = { convert: 0, render: 1 };
const LOST = "The server cannot be reached. Is it still running?";
const FULL = "The server is busy. Please try again in a minute.";

/** An error whose message is shown to the user. */
export class UserError extends Error {}

const randomId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

async function post(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { method: "POST", ...options });
  } catch {
    throw new UserError(LOST);
  }
  if (response.ok) return response.status === 204 ? null : response.json();
  const body = await response.json().catch(() => ({}));
  if (response.status === 503 && !body.error) throw new UserError(FULL);
  throw new UserError(body.error || "The server refused this request.");
}

/** Uploads a recording (a Blob), or opens the example without one; returns its id. */
export async function upload(blob) {
  const { recording } = blob ? await post("recordings", { body: blob }) : await post("example");
  return recording;
}

/** Runs a job and returns its result; `onProgress(step, share)` is called meanwhile. */
export async function runJob(name, data, onProgress = () => {}) {
  const session = randomId();
  await post("engine/gradio_api/queue/join", {
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ data, fn_index: JOBS[name], session_hash: session }),
  });
  return new Promise((resolve, reject) => {
    const events = new EventSource(`engine/gradio_api/queue/data?session_hash=${session}`);
    events.onmessage = ({ data: text }) => {
      const message = JSON.parse(text);
      if (message.msg === "estimation" && message.rank > 0) onProgress(`Waiting: ${message.rank} before you`);
      if (message.msg === "log") onProgress(message.log, Number(message.title));
      if (message.msg === "process_completed") {
        events.close();
        if (message.success) resolve(message.output.data[0]);
        else reject(new UserError(message.output.error || "Something went wrong. Please try again."));
      }
      if (message.msg === "unexpected_error" || message.msg === "server_stopped") {
        events.close();
        reject(new UserError(LOST));
      }
    };
    events.onerror = () => {
      events.close();
      reject(new UserError(LOST));
    };
  });
}

export const fileUrl = (recording, name, version = 0) => `recordings/${recording}/${name}?v=${version}`;

/** Deletes a recording on the server, also while the page is closing. */
export const deleteRecording = (recording) => recording && navigator.sendBeacon(`recordings/${recording}/forget`);
