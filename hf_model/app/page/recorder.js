// Records the microphone without speech processing, and measures its level.

import { UserError } from "./engine.js";

const MESSAGES = {
  NotAllowedError: "Microphone access was denied. Allow it in the browser's address bar, or choose a recording instead.",
  NotFoundError: "No microphone was found. Connect one, or choose a recording instead.",
  NotReadableError: "Another program is using the microphone.",
};

export class Recorder {
  /** Starts recording the `stream` of the microphone, which plays into the `context`, for `maxSeconds` at most. `onLevel(seconds, level)` is called about 12 times a second. */
  async start(maxSeconds, onLevel) {
    if (!navigator.mediaDevices) {
      throw new UserError("The browser allows the microphone on localhost and over https only. Please choose a recording instead.");
    }
    // processing for speech distorts singing
    const constraints = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ audio: constraints });
    } catch (error) {
      throw new UserError(MESSAGES[error.name] || "The microphone cannot be used.");
    }
    this.context = new AudioContext();
    const meter = this.context.createAnalyser();
    this.context.createMediaStreamSource(this.stream).connect(meter);
    const samples = new Float32Array(meter.fftSize);
    this.media = new MediaRecorder(this.stream, { audioBitsPerSecond: 128000 });
    const parts = [];
    this.media.ondataavailable = ({ data }) => parts.push(data);
    const startedAt = performance.now();
    this.timer = setInterval(() => {
      meter.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, x) => sum + x * x, 0) / samples.length;
      const seconds = (performance.now() - startedAt) / 1000;
      onLevel(seconds, Math.min(1, Math.max(0, 1 + Math.log10(power + 1e-9) / 5)));
      if (seconds >= maxSeconds) this.stop();
    }, 80);
    this.done = new Promise((resolve) => {
      this.media.onstop = () => {
        clearInterval(this.timer);
        this.stream.getTracks().forEach((track) => track.stop());
        this.context.close();
        resolve(new Blob(parts, { type: this.media.mimeType }));
      };
    });
    this.media.start();
  }

  stop() {
    if (this.media.state !== "inactive") this.media.stop();
  }
}
