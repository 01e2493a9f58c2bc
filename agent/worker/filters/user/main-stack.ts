/**
 * What the main thread is in, seen from a thread beside it: its debugger stops it wherever it is, also in a loop that
 * does not end, and lets it go at once. It costs some 100 ms, most of which are the names of all scripts.
 */
import { Session } from 'node:inspector'
import type { Debugger, InspectorNotification } from 'node:inspector'
import { fileURLToPath } from 'node:url'

/** Absolute paths of the modules on its stack, the innermost first. Not called where the main thread does not stop. */
export function filesOnMainStack(found: (files: readonly string[]) => void): void {
  const session = new Session()
  const urls = new Map<string, string>()
  session.on('Debugger.scriptParsed', ({ params }: InspectorNotification<Debugger.ScriptParsedEventDataType>) => {
    if (params.url.startsWith('file:')) urls.set(params.scriptId, params.url)
  })
  session.on('Debugger.paused', ({ params }: InspectorNotification<Debugger.PausedEventDataType>) => {
    const files = params.callFrames.flatMap(({ location }) => urls.get(location.scriptId) ?? [])
    found(files.map((url) => fileURLToPath(url)))
    session.post('Debugger.resume')
    session.disconnect()
  })
  session.connectToMainThread()
  session.post('Debugger.enable')
  session.post('Debugger.pause')
}
