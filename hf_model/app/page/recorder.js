// The microphone: raw, as singing needs it, with a level to watch.

import { Problem } from "./engine.js";

const WHY = {
  NotAllowedError: "The microphone is not allowed. Allow it in the browser's address bar, or choose a recording instead.",
  NotFoundError: "There is no microphone. Connect one, or choose a recording instead.",
  NotReadableError: "Another program is using the microphone.",
};

export class Recorder {
  /** Starts recording; ends by itself after `longest` seconds. `watch(seconds, level)` is called often. */
  async start(longest, watch) {
    if (!navigator.mediaDevices) {
      throw new Problem("Browsers allow a microphone at https addresses and on this machine only. Please choose a recording instead.");
    }
    // what helps speech, spoils singing
    const wishes = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ audio: wishes });
    } catch (error) {
      throw new Problem(WHY[error.name] || "The microphone cannot be used.");
    }
    this.context = new AudioContext();
    const meter = this.context.createAnalyser();
    this.context.createMediaStreamSource(this.stream).connect(meter);
    const samples = new Float32Array(meter.fftSize);
    this.media = new MediaRecorder(this.stream, { audioBitsPerSecond: 128000 });
    const parts = [];
    this.media.ondataavailable = ({ data }) => parts.push(data);
    const began = performance.now();
    this.timer = setInterval(() => {
      meter.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, x) => sum + x * x, 0) / samples.length;
      const seconds = (performance.now() - began) / 1000;
      watch(seconds, Math.min(1, Math.max(0, 1 + Math.log10(power + 1e-9) / 5)));
      if (seconds >= longest) this.stop();
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
