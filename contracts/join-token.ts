/**
 * What an operator carries from a center to a new host: `hostmesh.ID.SECRET.PIN`. The pin is the sha256 of the public
 * key of the authority's root, in hex, so that the host knows whom it gives the secret to.
 */
export interface JoinTokenText {
  readonly id: string
  readonly secret: string
  /** Lower-case hex, 64 characters. */
  readonly pin: string
}

const pattern = /^hostmesh\.([\w-]{1,64})\.([\w-]{16,128})\.([0-9a-f]{64})$/

export function joinTokenText({ id, secret, pin }: JoinTokenText): string {
  return `hostmesh.${id}.${secret}.${pin}`
}

/** Undefined for anything else. */
export function parseJoinToken(text: string): JoinTokenText | undefined {
  const [, id, secret, pin] = pattern.exec(text.trim()) ?? []
  return id === undefined || secret === undefined || pin === undefined ? undefined : { id, secret, pin }
}
