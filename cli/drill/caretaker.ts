/**
 * Puts right what a drill leaves behind when it is killed with -9: a shell that waits for the end of its standard
 * input, which only our end closes, and then removes the files. What control and watchdog play for a drill ends by
 * itself.
 */
import { spawn } from 'node:child_process'

const script = 'cat > /dev/null; rm -f -- "$@"'

/** The answer ends it, and resolves when the files are gone. */
export function removedAtTheEnd(files: readonly string[]): () => Promise<void> {
  const shell = spawn('sh', ['-c', script, 'sh', ...files], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  const ended = new Promise<void>((resolve) => {
    shell.once('exit', () => resolve())
    shell.once('error', () => resolve())
  })
  shell.stdin.on('error', () => {})
  shell.unref()
  return () => {
    shell.ref()
    shell.stdin.end()
    return ended
  }
}
