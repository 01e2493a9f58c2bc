/** One line of `/ports`: where a listener of this host is, and how it does. */
export interface PortRow {
  readonly direction: 'outbound' | 'inbound' | 'relay'
  /** Service key, or what the port is for. */
  readonly service: string
  readonly address: string
  /** 0 = it could not be given one. */
  readonly port: number
  readonly protocol: string
  /** `bound`, `failed`, …: what workers say of it. */
  readonly state: string
  readonly problem?: string | undefined
}
