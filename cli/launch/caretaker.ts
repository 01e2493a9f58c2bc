/**
 * Sweeps up behind a demo that was killed with -9: a shell that waits for the end of its standard input, which only our
 * end closes, then stops what still runs and removes the files. Without a shell nobody does; then `hostmesh stop
 * --run-dir` is for people.
 */
import { spawn } from 'node:child_process'
import { entryPoint } from '../entry-point.ts'

const script = `cat > /dev/null
for run in "$3"/*/run; do
  if [ -e "$run/watchdog.sock" ]; then "$1" "$2" stop --run-dir "$run" --deadline 1s; fi
done
rm -rf "$3"`

/** The answer ends it; to be called when everything has been stopped. */
export function startCaretaker(directory: string): () => Promise<void> {
  const shell = spawn('sh', ['-c', script, 'sh', process.execPath, entryPoint('cli/main'), directory], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const ended = new Promise<void>((resolve) => {
    shell.once('exit', () => resolve())
    shell.once('error', () => resolve())
  })
  shell.stdin.on('error', () => {})
  return () => {
    shell.stdin.end()
    return ended
  }
}
