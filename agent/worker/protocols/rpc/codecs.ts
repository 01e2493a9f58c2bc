import type { RpcDescription } from '../../../../contracts/rpc-description.ts'
import { BoltCodec } from '../../../../rpc/bolt/bolt.ts'
import type { RpcCodec } from '../../../../rpc/codec.ts'
import { DeclaredCodec } from '../../../../rpc/declared/declared.ts'
import { DubboCodec } from '../../../../rpc/dubbo/dubbo.ts'
import { ThriftCodec } from '../../../../rpc/thrift/thrift.ts'
import { UnknownCodec } from '../../../../rpc/unknown.ts'

const builtIn: Readonly<Record<string, () => RpcCodec>> = {
  bolt: () => new BoltCodec(),
  dubbo: () => new DubboCodec(),
  thrift: () => new ThriftCodec(),
}

/** The codecs of a worker, each made once: both sides of a request know by it that they speak the same. */
export class RpcCodecs {
  private readonly made = new Map<string, RpcCodec>()
  private described: Readonly<Record<string, RpcDescription>> = {}

  /** What the configuration describes now. Answers the names whose codec is another one from now on. */
  take(described: Readonly<Record<string, RpcDescription>>): string[] {
    const before = this.described
    const isSame = (name: string): boolean => JSON.stringify(before[name]) === JSON.stringify(described[name])
    const changed = [...new Set([...Object.keys(before), ...Object.keys(described)])].filter((name) => !isSame(name))
    this.described = described
    for (const name of changed) this.made.delete(name)
    return changed
  }

  /** One that refuses every frame for a name that nobody knows. */
  of(name: string): RpcCodec {
    let codec = this.made.get(name)
    if (codec === undefined) {
      codec = this.make(name)
      this.made.set(name, codec)
    }
    return codec
  }

  /** Of every protocol that is known. */
  all(): RpcCodec[] {
    return [...Object.keys(builtIn), ...Object.keys(this.described)].map((name) => this.of(name))
  }

  private make(name: string): RpcCodec {
    if (Object.hasOwn(builtIn, name)) return builtIn[name]!()
    const description = Object.hasOwn(this.described, name) ? this.described[name] : undefined
    return description === undefined ? new UnknownCodec(name) : new DeclaredCodec(name, description)
  }
}
