import { Names } from '../../../../rpc/names.ts'

/** Services whose paths are kept; beyond it all are forgotten and made anew. */
const maxServices = 1024
/** And methods of one. */
const maxMethods = 256

/** Services, methods and the paths that routes are matched against, made once each while they keep coming. */
export class RpcNames {
  private readonly names = new Names()
  private readonly paths = new Map<string, Map<string, string>>()

  text(buf: Buffer, from: number, to: number): string {
    return from === to ? '' : this.names.get(buf, from, to)
  }

  /** `/service/method`. */
  path(service: string, method: string): string {
    let methods = this.paths.get(service)
    if (methods === undefined) {
      if (this.paths.size >= maxServices) this.paths.clear()
      methods = new Map()
      this.paths.set(service, methods)
    }
    let path = methods.get(method)
    if (path === undefined) {
      if (methods.size >= maxMethods) methods.clear()
      path = `/${service}/${method}`
      methods.set(method, path)
    }
    return path
  }
}
