// Piano and voice on one clock, mixed as the visitor likes.

const LEVELS = { piano: [1, 0], voice: [0, 1] };

export class Player {
  /** `watch()` is called whenever the position or the state may have changed. */
  constructor(watch) {
    this.watch = watch;
    this.sounds = {};
    this.at = 0;
    this.hear = "piano";
    this.balance = 0.5;
    this.voiceGain = 1;
  }

  async load(name, address) {
    this.context ??= new AudioContext();
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(answer.status);
    this.sounds[name] = await this.context.decodeAudioData(await answer.arrayBuffer());
  }

  get duration() {
    return this.sounds.piano?.duration ?? 0;
  }

  get position() {
    return this.playing ? Math.min(this.context.currentTime - this.began, this.duration) : this.at;
  }

  async play() {
    if (!this.duration || this.playing) return;
    await this.context.resume();
    if (this.at >= this.duration - 0.05) this.at = 0;
    this.gains = {};
    this.sources = ["piano", "voice"].map((name) => {
      const source = new AudioBufferSourceNode(this.context, { buffer: this.sounds[name] });
      this.gains[name] = new GainNode(this.context);
      source.connect(this.gains[name]).connect(this.context.destination);
      source.start(0, Math.min(this.at, this.sounds[name].duration));
      return source;
    });
    this.began = this.context.currentTime - this.at;
    this.playing = true;
    this.mix();
    const turn = () => {
      if (!this.playing) return;
      if (this.position >= this.duration) this.pause();
      this.watch();
      requestAnimationFrame(turn);
    };
    turn();
  }

  pause() {
    if (!this.playing) return;
    this.at = this.position;
    this.playing = false;
    this.sources.forEach((source) => source.stop());
    this.watch();
  }

  seek(seconds) {
    const wasPlaying = this.playing;
    this.pause();
    this.at = Math.min(Math.max(0, seconds), this.duration);
    this.watch();
    if (wasPlaying) this.play();
  }

  mix() {
    if (!this.playing) return;
    const both = [Math.sin((this.balance * Math.PI) / 2), Math.cos((this.balance * Math.PI) / 2)];
    const [piano, voice] = LEVELS[this.hear] ?? both;
    this.gains.piano.gain.value = piano;
    this.gains.voice.gain.value = voice * this.voiceGain;
  }
}
