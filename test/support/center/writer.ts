/** Writes to a file store as fast as it can and says each acknowledged write: `KEY VALUE`. For tests that kill it. */
import { systemClock } from '../../../contracts/clock.ts'
import { FileStore } from '../../../agent/control/store/file-store.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const store = new FileStore({
  folder: process.argv[2]!,
  clock: systemClock,
  log: silent,
  snapshotEvery: 20,
  kept: 40,
})
const known = new Map<string, { value: number; revision: number }>()
await new Promise<void>((resolve) => {
  store.watch({
    onState: ({ entries }) => {
      for (const { key, value, revision } of entries) known.set(key, { value: Number(value), revision })
      resolve()
    },
    onChanges: () => undefined,
  })
})
for (let round = 0; ; round++) {
  const key = `key-${round % 5}`
  const { value, revision } = known.get(key) ?? { value: 0, revision: 0 }
  const next = { value: value + 1, revision: await store.write(key, String(value + 1), revision) }
  known.set(key, next)
  process.stdout.write(`${key} ${next.value}\n`)
}
