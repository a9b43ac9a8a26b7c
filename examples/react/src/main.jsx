import { createRoot } from "react-dom/client";
import { Upload } from "./Upload";

createRoot(document.getElementById("root")).render(<Upload url="/upload" />);
