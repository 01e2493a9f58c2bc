import type { Encoding } from '../../../../../contracts/builtin-filters.ts'

/** RFC 9110 section 12.5.3: that of `offered` with the highest weight; among equals the first offered. */
export function acceptedEncoding(accepted: string, offered: readonly Encoding[]): Encoding | undefined {
  if (accepted === '') return undefined
  const weights = new Map<string, number>()
  for (const part of accepted.toLowerCase().split(',')) {
    const [name = '', ...rest] = part.split(';').map((one) => one.trim())
    const q = rest.find((one) => one.startsWith('q='))
    const weight = q === undefined ? 1 : Number(q.slice(2))
    weights.set(name === 'x-gzip' ? 'gzip' : name, weight >= 0 && weight <= 1 ? weight : 0)
  }
  let best: Encoding | undefined
  let most = 0
  for (const encoding of offered) {
    const weight = weights.get(encoding) ?? weights.get('*') ?? 0
    if (weight > most) {
      best = encoding
      most = weight
    }
  }
  // it would rather have it as it is
  return most < (weights.get('identity') ?? 0) ? undefined : best
}

/** The same for one caller after another: mostly the next one says what the last one said. */
export class EncodingChoice {
  private readonly offered: readonly Encoding[]
  private accepted = ''
  private encoding: Encoding | undefined = undefined

  constructor(offered: readonly Encoding[]) {
    this.offered = offered
  }

  of(accepted: string): Encoding | undefined {
    if (accepted !== this.accepted) {
      this.encoding = acceptedEncoding(accepted, this.offered)
      this.accepted = accepted
    }
    return this.encoding
  }
}
