// Takes the sound out of a file that is too large to upload, such as a video of a phone: the browser decodes it.

const SAMPLE_RATE = 44100;
const HEADER_BYTES = 44;

/** Returns the sound of a file as a stereo wav file of 16 bits (a Blob); null if it is still too large, or not decoded. */
export async function takeSound(file, maxBytes) {
  let sound;
  try {
    sound = await new OfflineAudioContext(2, 1, SAMPLE_RATE).decodeAudioData(await file.arrayBuffer());
  } catch {
    return null; // a format that this browser does not know, or too little memory
  }
  const bytes = HEADER_BYTES + 4 * sound.length;
  return bytes <= maxBytes ? new Blob([header(bytes), samplesOf(sound)], { type: "audio/wav" }) : null;
}

function samplesOf(sound) {
  const samples = new Int16Array(2 * sound.length);
  for (const side of [0, 1]) {
    const channel = sound.getChannelData(Math.min(side, sound.numberOfChannels - 1));
    for (let index = 0; index < channel.length; index++) samples[2 * index + side] = Math.max(-1, Math.min(1, channel[index])) * 32767;
  }
  return samples;
}

function header(bytes) {
  const view = new DataView(new ArrayBuffer(HEADER_BYTES));
  const write = (at, text) => [...text].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  write(0, "RIFF");
  view.setUint32(4, bytes - 8, true);
  write(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 2, true);
  view.setUint32(24, SAMPLE_RATE, true);
  view.setUint32(28, 4 * SAMPLE_RATE, true);
  view.setUint16(32, 4, true);
  view.setUint16(34, 16, true);
  write(36, "data");
  view.setUint32(40, bytes - HEADER_BYTES, true);
  return view;
}
