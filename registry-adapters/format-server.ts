/** `10.0.0.8:15010` or `[::1]:15010`. */
export function formatServer({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
