/** One listener of a store that tells several. */
import type { StoreListener } from './store.ts'

export function everyListener(listeners: readonly StoreListener[]): StoreListener {
  return {
    onState: (state) => {
      for (const listener of listeners) listener.onState(state)
    },
    onChanges: (changes) => {
      for (const listener of listeners) listener.onChanges(changes)
    },
  }
}
