// Runs in the audio thread: turns the microphone's samples into blocks of 16 bits, and sends them to the page.

const BLOCK = 1024; // samples, about 20 ms

class Samples extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Int16Array(BLOCK);
    this.size = 0;
  }

  process([input]) {
    for (const sample of input[0] ?? []) {
      this.block[this.size++] = Math.max(-32768, Math.min(32767, Math.round(32768 * sample)));
      if (this.size === BLOCK) {
        this.port.postMessage(this.block.buffer, [this.block.buffer]);
        this.block = new Int16Array(BLOCK);
        this.size = 0;
      }
    }
    return true;
  }
}

registerProcessor("samples", Samples);
