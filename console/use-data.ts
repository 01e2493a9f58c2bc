/**
 * An answer that is asked for again and again while somebody looks. A tab in the background asks nothing; the next
 * question waits for the answer to the last one, so a slow node is asked less.
 */
import { data, type ApiProblem } from './api.ts'
import { useEffect, useState } from './html.ts'

export interface Watched<T> {
  /** Of the newest answer; undefined before the first. */
  readonly value: T | undefined
  /** Why the newest question had no answer; the value is older then. */
  readonly problem: ApiProblem | undefined
  readonly at: number
}

/** `everyMs` 0: once. `onValue` hears each answer. */
export function useData<T>(path: string, everyMs: number, onValue?: (value: T) => void): Watched<T> {
  const [watched, set] = useState<Watched<T>>({ value: undefined, problem: undefined, at: 0 })
  useEffect(() => {
    const ended = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    let isAsking = false
    set({ value: undefined, problem: undefined, at: 0 })
    const look = async (): Promise<void> => {
      clearTimeout(timer)
      if (document.hidden || isAsking) return
      isAsking = true
      try {
        const value = await data<T>(path, ended.signal)
        if (ended.signal.aborted) return
        set({ value, problem: undefined, at: Date.now() })
        onValue?.(value)
      } catch (problem) {
        if (!ended.signal.aborted) set((last) => ({ ...last, problem: problem as ApiProblem }))
      } finally {
        isAsking = false
      }
      if (everyMs > 0 && !ended.signal.aborted) timer = setTimeout(() => void look(), everyMs)
    }
    const onShown = (): void => void look()
    document.addEventListener('visibilitychange', onShown)
    void look()
    return () => {
      ended.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', onShown)
    }
  }, [path, everyMs])
  return watched
}
