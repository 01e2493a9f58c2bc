/** How long ago something was, in one unit: `12 s ago`. */
export function ago(at: number, now: number): string {
  return `${Math.max(0, Math.round((now - at) / 1000))} s ago`
}
