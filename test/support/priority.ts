import { getPriority, setPriority } from 'node:os'

const urgent = -10

/**
 * What is promised within seconds is judged as on a machine of its own: this process, and those that it starts from now
 * on, go before others until the end that is answered. Where that may not be had they do not.
 */
export function goBeforeOthers(): () => void {
  const former = getPriority()
  try {
    setPriority(urgent)
  } catch {
    return () => undefined
  }
  return () => setPriority(former)
}
