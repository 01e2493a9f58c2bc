/**
 * Whoever waits for a reply, by the id that we gave his request. An id is a place in the table and how often the place
 * was used, so that a reply that comes too late meets nobody else.
 */
export class PendingTable<T extends { id: number; slot: number }> {
  count = 0
  private readonly places: (T | null)[] = []
  /** Of the id that a place gives next. */
  private readonly rounds: number[] = []
  private readonly free: number[] = []
  private readonly placeBits: number
  private readonly placeMask: number
  private readonly idMask: number
  readonly capacity: number

  /** `idBits`: of an id on the wire, 8 to 32; half of them at most name places. */
  constructor(idBits: number, wanted: number) {
    const most = Math.floor(idBits / 2) + (idBits < 16 ? 2 : 0)
    this.placeBits = Math.min(most, Math.ceil(Math.log2(wanted)))
    this.placeMask = 2 ** this.placeBits - 1
    this.idMask = 2 ** idBits - 1
    // the last place gives no id, so that one is left for questions of the link's own
    this.capacity = Math.min(wanted, 2 ** this.placeBits - 1)
  }

  /** Gives `waiter` an id, above 0. Only while `count` is below `capacity`. */
  add(waiter: T): number {
    const slot = this.free.pop() ?? this.places.length
    const round = this.rounds[slot] ?? 1
    const id = ((round * 2 ** this.placeBits + slot) & this.idMask) >>> 0
    this.rounds[slot] = (round + 1) % 2 ** 20
    this.places[slot] = waiter
    waiter.slot = slot
    waiter.id = id
    this.count++
    return id
  }

  find(id: number): T | null {
    const found = this.places[id & this.placeMask] ?? null
    return found !== null && found.id === id ? found : null
  }

  remove(waiter: T): void {
    if (waiter.slot < 0 || this.places[waiter.slot] !== waiter) return
    this.places[waiter.slot] = null
    this.free.push(waiter.slot)
    waiter.slot = -1
    this.count--
  }

  all(): T[] {
    return this.places.filter((one) => one !== null)
  }
}
