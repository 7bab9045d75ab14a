/** Something stored is not what was written: the checkpoint it belongs to must not be run. */
export class DamagedCheckpoint extends Error {
  override readonly name: string = "DamagedCheckpoint";
}

/** A stored part of the console is not what was printed. */
export class DamagedConsole extends DamagedCheckpoint {
  override readonly name = "DamagedConsole";
  /** Everything before this was found whole. */
  readonly offset: number;

  constructor(offset: number) {
    super(`the stored console is damaged at offset ${offset}`);
    this.offset = offset;
  }
}
