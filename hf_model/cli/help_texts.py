"""The descriptions and examples of `--help`."""

DESCRIPTION = "Convert singing, humming, or the lead voice of a song to piano: same melody, same timing, same length."

RENDER = "Render a MIDI file or an edited table of notes with the same piano."

APP = "Serve a page in the browser to record, listen, edit and download."

COMPLETION = "Print a script for tab completion of commands, options and files."

EXAMPLES = """\
examples:
  hummingface convert hum.wav                     write hum_piano.wav and hum_piano.mid next to hum.wav
  hummingface convert hum.m4a --csv --plot        also a table of the notes and a picture
  hummingface convert takes/ --out-dir piano      all recordings in a folder
  hummingface convert song.mp3 --backing keep     a song: also song_cover.wav, the piano in the singer's place
  hummingface convert "takes/*.mp3" --transpose 12      an octave higher
  hummingface convert hum.wav --json | jq '.files[0].n_notes'
  hummingface render hum_piano.mid -o new.wav     render a MIDI file or a table of notes
  hummingface app                                 the same in the browser, with a microphone
  hummingface info                                versions, weights, licences
"""

CONVERT_EXAMPLES = """\
outputs for hum.wav:
  hum_piano.wav   the piano: 44.1 kHz, exactly as long as the recording
  hum_piano.mid   the notes as performed, with tempo, time signature and key, for a DAW
  hum_piano.csv   (--csv) onset,offset,pitch,note,velocity,confidence: onset and offset in seconds, pitch of the voice
                  as a MIDI number with decimals, note as played on the piano, velocity 0-127, confidence 0-1
  hum_piano.musicxml   (--musicxml) the score, for notation software
  hum_piano.png   (--plot) the notes over the spectrogram of the voice
  hum_piano.structure.png   (--structure) the repeated phrases of the melody
  hum_cover.wav   (--backing keep, songs only) the accompaniment with the piano in the singer's place
  hum_voice.wav   (--voice, songs only) the separated voice

songs:
  If something plays beside the voice, the voice is separated first; the line of each file, and "source" in --json, say
  what was decided, and how certain it is. --source voice or song decides otherwise. Beats, bars and chords are those of
  the band, unless --tempo and --meter are given. The sound of videos (mp4 mov mkv webm 3gp) is read as well.

examples:
  hummingface convert hum.wav
  hummingface convert monday.m4a tuesday.m4a --out-dir piano --overwrite
  hummingface convert hum.wav --quantize 1/8 --simplify 1     on the grid, without ornaments
  hummingface convert hum.wav --tempo 96 --meter 4/4 --key "F major"     known values instead of estimates
  hummingface convert hum.wav --preset beginner --accompany     simple, with chords in the left hand
  hummingface convert takes/ --min-note 0.1 --min-confidence 0.3     fewer, more certain notes
  hummingface convert song.mp3 --start 1:05 --end 1:50 --backing keep     a part of a song, with its cover
  hummingface convert concert.mp4 --source song --voice     the song in a video, and the voice alone
  hummingface convert hum.wav --source voice      a voice alone, whatever else sounds
  hummingface convert hum.wav --tuning 0          no correction of a flat or sharp voice
  hummingface convert hum.wav --pedal --reverb 0.3      sustain pedal and reverb

exit code: 0 all converted, 1 a file failed (the others are converted), 2 wrong usage, 130 interrupted
"""

RENDER_EXAMPLES = """\
NOTES is a MIDI file (all instruments but drums, with its tempo changes, velocities and pedal) or a table as written by
`convert --csv`, of which the columns onset, offset, note and velocity are used: onset and offset in seconds, note as a
MIDI number (60) or a name (C4).

examples:
  hummingface render tune.mid                     write tune.wav next to it
  hummingface render hum_piano.csv -o edited.wav  notes edited in a spreadsheet
  hummingface render tune.mid --pedal --reverb 0.3      sustain pedal and reverb
  hummingface render tune.mid --sound reference -o compare.wav    FluidSynth, at the same loudness
  hummingface render tune.mid --duration 60       exactly one minute

exit code: 0 rendered, 1 the notes or the piano cannot be loaded, 2 wrong usage, 130 interrupted
"""


APP_NOTES = """\
The page needs: pip install 'hummingface[app]'. It runs locally: nothing is sent to another server. Recordings are
deleted when the user leaves, or after 20 minutes. Only this machine can open the page, unless --host is given; browsers
allow the microphone on localhost and over https only.
With --host, everyone who can reach the address can open the page: --token auto asks for a token first.
"""
